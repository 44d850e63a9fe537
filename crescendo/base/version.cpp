#include "crescendo/base/version.h"

#include <fmt/format.h>

#include "commit.h"  // made by the build: cmake/WriteCommit.cmake

namespace crescendo {

std::string Version() { return CRESCENDO_VERSION; }

std::string Commit() { return CRESCENDO_COMMIT; }

std::string Compiler() {
#if defined(__clang__)
  return fmt::format("Clang {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  return fmt::format("GCC {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
}

}  // namespace crescendo
