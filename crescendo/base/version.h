// What this program was built from and with.
#pragma once

#include <string>

namespace crescendo {

std::string Version();   // "0.1.0"
std::string Commit();    // "" where it was not built from a git tree; ends in "+changes" where the tree had some
std::string Compiler();  // "GCC 12.2.0"

}  // namespace crescendo
