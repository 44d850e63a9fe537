#include <fmt/format.h>
#include <torch/headeronly/version.h>

#include "crescendo/base/version.h"
#include "crescendo/cli/commands.h"

namespace crescendo::cli {

std::string VersionText() {
  const std::string commit = Commit().empty() ? "" : fmt::format(" ({})", Commit());
#ifdef CRESCENDO_CUDA
  constexpr const char* kDevices = "for the CPU and NVIDIA GPUs";
#else
  constexpr const char* kDevices = "for the CPU";
#endif
  return fmt::format("crescendo {}{}, LibTorch {} {}, {}", Version(), commit, TORCH_VERSION, kDevices, Compiler());
}

}  // namespace crescendo::cli
