// What contradicts across options, each of which is right by itself: a UserError that says what, where and what would
// work.
#pragma once

#include <cstdint>

#include "crescendo/config/fields.h"
#include "crescendo/config/options.h"

namespace crescendo::config {

// Everything that can be said before the size of the training set is known; LoadFile and LoadText call it. `places`
// says where options were stated; where the one in question was not, places[""] stands at the front, the name of the
// file.
void Validate(const Options& options, const Places& places = {});

// The order of positions, for N training examples: all of them, since every unit is then known in samples.
void ValidatePositions(const Options& options, int64_t train_examples);

}  // namespace crescendo::config
