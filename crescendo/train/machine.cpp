#include "crescendo/train/machine.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "crescendo/device/device.h"
#include "crescendo/device/machine.h"

namespace crescendo::train {

int64_t UsableCores() { return device::UsableCores(); }

std::vector<std::string> VisibleGpus() {
  const int64_t count = device::GpuCount();
  std::vector<std::string> names;
  // Where some are hidden from us, ours are not numbered from 0.
  if (const char* visible = std::getenv("CUDA_VISIBLE_DEVICES")) {
    std::istringstream list(visible);
    for (std::string name; std::getline(list, name, ',');) names.push_back(name);
    names.resize(std::min(names.size(), static_cast<size_t>(count)));
    return names;
  }
  for (int64_t gpu = 0; gpu < count; ++gpu) names.push_back(std::to_string(gpu));
  return names;
}

}  // namespace crescendo::train
