// Text inside XML: HTML and SVG.
#pragma once

#include <string>
#include <string_view>

namespace crescendo::report {

// With & < > " written as entities: for what stands between tags, and within quotes.
std::string Escaped(std::string_view text);

}  // namespace crescendo::report
