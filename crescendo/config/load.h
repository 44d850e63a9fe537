// Reads a config: a TOML file and overrides from the command line.
//
//   base = "wide_resnet.toml"        # optional: is loaded first; relative to this file
//   [schedule]
//   length = "200ep"
//   max_batch = 5120
//
//   Options options = LoadFile("recipes/paper/grow.toml", {"schedule.max_batch=N/10", "model.hidden=[64,64]"});
//
// The layers base, file, command line are read in this order, and what is stated later wins. An option that means
// something only with certain values of another (`only_with`) is an error where that does not hold, with one exception:
// where a later layer changed the other, an option of an earlier layer goes back to its default. So
// `schedule.policy=decay` on the command line works with any recipe for a growing batch, but at_cap beside policy =
// "decay" in one file is refused.
//
// data.train_file and data.test_file are relative to the file that states them, on the command line to the current
// folder, and are absolute in the result. The default of reference.momentum is 0 for plain SGD, and that of data.flip
// is false for mnist and fashion_mnist.
//
// Whatever is wrong is a UserError that begins with the place: "recipes/x.toml:12:1: schedule.max_bach is not an
// option; did you mean schedule.max_batch?". Positions in different units cannot be compared before the size of the
// training set is known: see ValidatePositions.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "crescendo/config/options.h"

namespace crescendo::config {

// Each override is "section.key=value", where the value is TOML, or else text without its quotes.
Options LoadFile(const std::filesystem::path& path, const std::vector<std::string>& overrides = {});

// The same from text; `source_name` stands for the path in messages and in what is relative to the file.
Options LoadText(std::string_view text, const std::filesystem::path& source_name,
                 const std::vector<std::string>& overrides = {});

}  // namespace crescendo::config
