#include "crescendo/train/build.h"

#include "crescendo/base/error.h"
#include "crescendo/config/plan_request.h"
#include "crescendo/config/validate.h"
#include "crescendo/device/cpu_allocator.h"
#include "crescendo/device/device.h"
#include "crescendo/nn/registry.h"
#include "crescendo/schedule/planner.h"

namespace crescendo::train {

schedule::Plan BuildPlan(const config::Options& options) {
  try {
    return schedule::MakePlan(config::MakePlanRequest(options, data::CountTrainExamples(options.data)));
  } catch (const UserError& error) {
    throw UserError(config::WithPlace(options, error.what()));
  }
}

Parts Build(const config::Options& options) {
  const at::Device device = device::ChooseDevice(options.run.device);
  if (options.run.reproducible && device.is_cuda()) {
    throw UserError("run.reproducible = true is promised on the CPU only; give run.device = cpu, or leave it out");
  }
  // The bits depend on the number of threads, and with run.reproducible they must not depend on the machine's cores.
  device::SetThreads(options.run.reproducible ? options.run.threads.value_or(1) : options.run.threads);
  device::KeepFp32Exact();
  if (options.run.cache_memory) device::InstallCachingCpuAllocator();
  const auto seed = static_cast<uint64_t>(options.run.seed);
  schedule::Plan plan = BuildPlan(options);
  data::DatasetPair data = data::LoadDatasets(options.data, seed);
  std::unique_ptr<nn::Model> model = nn::BuildModel(options.model, data.train.ExampleShape(), data.train.classes, seed);
  model->To(device);
  std::vector<optim::Parameter> parameters;
  for (const nn::NamedTensor& parameter : model->parameters()) parameters.push_back({parameter.name, parameter.value});
  std::unique_ptr<optim::Optimizer> optimizer = optim::BuildOptimizer(options.optimizer, std::move(parameters));
  return {options, device, std::move(data), std::move(plan), std::move(model), std::move(optimizer)};
}

}  // namespace crescendo::train
