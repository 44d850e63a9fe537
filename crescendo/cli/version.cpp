#include <fmt/format.h>
#include <torch/headeronly/version.h>

#include "crescendo/base/version.h"
#include "crescendo/cli/commands.h"

namespace crescendo::cli {

std::string VersionText() {
  const std::string commit = Commit().empty() ? "" : fmt::format(" ({})", Commit());
  return fmt::format("crescendo {}{}, LibTorch {}, {}", Version(), commit, TORCH_VERSION, Compiler());
}

}  // namespace crescendo::cli
