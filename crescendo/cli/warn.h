// How every command warns.
#pragma once

#include <iostream>
#include <string>

namespace crescendo::cli {

inline void Warn(const std::string& sentence) { std::cerr << "crescendo: warning: " << sentence << '\n'; }

}  // namespace crescendo::cli
