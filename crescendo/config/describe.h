// The options as text: a resolved config, and the manual page of `crescendo config`.
#pragma once

#include <string>

#include "crescendo/config/options.h"

namespace crescendo::config {

// TOML that loads back to the same options, with every option that means something with the others' values, defaults
// too. REQUIRES that `options` came from a load: an option that means nothing then has its default and is left out.
std::string ToToml(const Options& options);

// Every option, by section: type, unit, default, bounds, condition, sentence and choices, within 100 columns.
std::string DescribeAll();

}  // namespace crescendo::config
