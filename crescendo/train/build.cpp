#include "crescendo/train/build.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "crescendo/base/error.h"
#include "crescendo/config/plan_request.h"
#include "crescendo/config/validate.h"
#include "crescendo/device/cpu_allocator.h"
#include "crescendo/device/device.h"
#include "crescendo/device/machine.h"
#include "crescendo/distributed/c10d_group.h"
#include "crescendo/nn/ghost_norm_autograd.h"
#include "crescendo/nn/registry.h"
#include "crescendo/schedule/planner.h"
#include "crescendo/train/growth.h"
#include "crescendo/train/same_run.h"

namespace crescendo::train {
namespace {

// Workers of one run may start as far apart as this: schedulers take their time.
constexpr std::chrono::milliseconds kLongestStart = std::chrono::minutes(5);

void UseThreads(const config::Options& options, int64_t workers_on_cores) {
  // The bits depend on the number of threads, and with run.reproducible they must not depend on the machine's cores.
  const int64_t own = options.run.reproducible ? 1 : std::max<int64_t>(1, device::UsableCores() / workers_on_cores);
  device::SetThreads(options.run.threads.value_or(own));
}

}  // namespace

void UseThreads(const Parts& parts, int64_t workers) {
  UseThreads(parts.options, distributed::WorkersOnSameCores(parts.place, workers));
}

schedule::Plan BuildPlan(const config::Options& options) {
  try {
    return schedule::MakePlan(config::MakePlanRequest(options, data::CountTrainExamples(options.data)));
  } catch (const UserError& error) {
    throw UserError(config::WithPlace(options, error.what()));
  }
}

distributed::WorkerPlace ThisWorker() { return distributed::FindPlace(distributed::SystemEnvironment); }

at::Device PrepareProcess(const config::Options& options, const distributed::WorkerPlace& place) {
  const at::Device device = device::ChooseDevice(options.run.device, place.local_rank);
  UseThreads(options, place.workers_on_same_cores);
  device::KeepFp32Exact();
  if (options.run.reproducible) device::RepeatBits(device);
  if (options.run.cache_memory) device::InstallCachingCpuAllocator();
  nn::UseGhostNormKernels(options.run.gpu_norm_kernels.value_or(device.is_cuda()));
  return device;
}

bool UsesGraphs(const Parts& parts) {
  const config::RunOptions& run = parts.options.run;
  return run.gpu_graphs.value_or(parts.device.is_cuda() && parts.place.size == 1 && !run.reproducible);
}

std::unique_ptr<nn::Model> BuildModelFor(const data::Dataset& examples, const config::Options& options,
                                         at::Device device) {
  std::unique_ptr<nn::Model> model =
      nn::BuildModel(options.model, examples.ExampleShape(), examples.classes, static_cast<uint64_t>(options.run.seed));
  model->To(device);
  return model;
}

Parts Build(const config::Options& options, const distributed::WorkerPlace& place) {
  if (options.run.gpu_graphs.value_or(false) && place.size > 1) {
    throw UserError(fmt::format(
        "run.gpu_graphs = true is for one worker, and this run has {}: start one, or leave it out", place.size));
  }
  const at::Device device = PrepareProcess(options, place);
  const auto timeout = std::chrono::milliseconds(static_cast<int64_t>(1000 * options.run.worker_timeout));
  const std::shared_ptr<distributed::AllWorkers> group =
      distributed::JoinGroup(place, device, timeout, std::max(timeout, kLongestStart));
  try {
    schedule::Plan plan = BuildPlan(options);
    std::vector<int64_t> workers_of_phases = WorkersOfPhases(options, plan, place.size);
    data::DatasetPair data = data::LoadDatasets(options.data, static_cast<uint64_t>(options.run.seed));
    RequireSameRun(*group, options, device, data);
    std::unique_ptr<nn::Model> model = BuildModelFor(data.train, options, device);
    std::vector<optim::Parameter> parameters;
    for (const nn::NamedTensor& parameter : model->parameters()) {
      parameters.push_back({parameter.name, parameter.value});
    }
    std::unique_ptr<optim::Optimizer> optimizer = optim::BuildOptimizer(options.optimizer, std::move(parameters));
    return {.options = options,
            .place = place,
            .device = device,
            .all_workers = group,
            .group = group,
            .data = std::move(data),
            .plan = std::move(plan),
            .workers_of_phases = std::move(workers_of_phases),
            .model = std::move(model),
            .optimizer = std::move(optimizer)};
  } catch (const std::exception& error) {
    group->Abandon(error.what());
    throw;
  }
}

}  // namespace crescendo::train
