// From options to the parts of a run.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "crescendo/config/options.h"
#include "crescendo/data/dataset.h"
#include "crescendo/distributed/group.h"
#include "crescendo/distributed/worker_place.h"
#include "crescendo/nn/model.h"
#include "crescendo/optim/optimizer.h"
#include "crescendo/schedule/plan.h"

namespace crescendo::train {

// The plan alone, without loading data: what `crescendo plan` shows and what a run of the same options does.
schedule::Plan BuildPlan(const config::Options& options);

// Everything a run is made of. The members refer to each other: keep it in one place.
struct Parts {
  config::Options options;
  distributed::WorkerPlace place;
  at::Device device;
  std::shared_ptr<distributed::AllWorkers> all_workers;  // that were started
  std::shared_ptr<distributed::Group> group;             // of them, those that compute now (growth.h)
  data::DatasetPair data;
  schedule::Plan plan;
  std::vector<int64_t> workers_of_phases;  // how many compute, for each phase of the plan
  std::unique_ptr<nn::Model> model;
  std::unique_ptr<optim::Optimizer> optimizer;
};

// What positions are counted in, in a run of these parts.
inline config::Scale ScaleOf(const Parts& parts) {
  return config::ScaleOf(parts.options, parts.plan.train_examples().value());
}

// Prepares the process, meets the other workers, loads the data, makes the plan and the network. `place`: which worker
// this is; without it, the only one. UserError where another worker was started with options, data or a crescendo that
// would train something else.
Parts Build(const config::Options& options, const distributed::WorkerPlace& place = {});

// Chooses the device, sets the number of compute threads, and whatever else of the process the options decide. `place`:
// as above.
at::Device PrepareProcess(const config::Options& options, const distributed::WorkerPlace& place = {});

// Whether micro-batches are recorded and replayed as CUDA graphs: run.gpu_graphs, and what its "auto" means here.
bool UsesGraphs(const Parts& parts);

// The network of `options` for such examples, with its initial weights, on `device`.
std::unique_ptr<nn::Model> BuildModelFor(const data::Dataset& examples, const config::Options& options,
                                         at::Device device);

// Lets this worker compute on as many threads as it should where the first `workers` compute: run.threads, or its part
// of the cores, which those that wait leave to the others.
void UseThreads(const Parts& parts, int64_t workers);

// The place that the environment gives to this process (distributed/worker_place.h).
distributed::WorkerPlace ThisWorker();

}  // namespace crescendo::train
