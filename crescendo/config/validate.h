// What contradicts across options, each of which is right by itself: a UserError that says what, where and what would
// work.
#pragma once

#include <cstdint>
#include <string>

#include "crescendo/config/fields.h"
#include "crescendo/config/options.h"

namespace crescendo::config {

// Everything that can be said before the size of the training set is known; LoadFile and LoadText call it. Messages
// begin with the place where the option in question was stated, or else with the name of the file (options.places).
void Validate(const Options& options);

// The order of positions, for N training examples: all of them, since every unit is then known in samples.
void ValidatePositions(const Options& options, int64_t train_examples);

// A message about options from below, where places are not known ("reference.global_batch = 128 is more than the 100
// training examples"), with a place in front if it names an option: that of the first one named that
// was stated, or else the name of the file.
std::string WithPlace(const Options& options, const std::string& message);

}  // namespace crescendo::config
