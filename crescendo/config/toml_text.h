// Parses TOML that may come from a stranger: a config, a study, the config inside weights or a checkpoint.
//
//   toml::table table = ParseToml(text, "recipes/x.toml");
#pragma once

#include <toml++/toml.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace crescendo::config {

// In bytes, of a config.
inline constexpr size_t kLargestText = size_t{1} << 20;

// UserError that begins with NAME:LINE:COLUMN where it is not TOML, where a key has too many parts, and without a place
// where the text is larger than any config: both are refused before they are parsed, since the parser calls itself for
// each part and would run out of stack.
toml::table ParseToml(std::string_view text, const std::string& name);

}  // namespace crescendo::config
