#include "crescendo/profile/trace.h"

#include <torch/csrc/autograd/profiler_kineto.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "crescendo/base/file.h"
#include "crescendo/profile/scratch_folder.h"

namespace crescendo::profile {

namespace profiler = torch::autograd::profiler;
using torch::profiler::impl::ActivityType;

void BeginTrace(c10::Device device) {
  // Without it the profiler tells the terminal that a machine has no GPU. What the user has set stays.
  setenv("KINETO_LOG_LEVEL", "5", /*replace=*/0);
  std::set<ActivityType> activities = {ActivityType::CPU};
  if (device.is_cuda()) activities.insert(ActivityType::CUDA);
  const torch::profiler::impl::ProfilerConfig config(torch::profiler::impl::ProfilerState::KINETO,
                                                     /*report_input_shapes=*/true);
  profiler::prepareProfiler(config, activities);
  profiler::enableProfiler(config, activities);
}

std::string EndTrace() {
  const std::unique_ptr<profiler::ProfilerResult> result = profiler::disableProfiler();
  // It writes a file only, and its name into the file.
  const ScratchFolder folder;
  const std::filesystem::path file = folder.path() / "trace.json";
  result->save(file.string());
  nlohmann::ordered_json trace = nlohmann::ordered_json::parse(ReadFile(file));
  trace.erase("traceName");
  return trace.dump();
}

}  // namespace crescendo::profile
