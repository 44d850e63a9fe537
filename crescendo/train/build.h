// From options to the parts of a run.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "crescendo/config/options.h"
#include "crescendo/data/dataset.h"
#include "crescendo/nn/model.h"
#include "crescendo/optim/optimizer.h"
#include "crescendo/schedule/plan.h"

namespace crescendo::train {

// The plan alone, without loading data: what `crescendo plan` shows and what a run of the same options does.
schedule::Plan BuildPlan(const config::Options& options);

// Everything a run is made of. The members refer to each other: keep it in one place.
struct Parts {
  config::Options options;
  at::Device device;
  data::DatasetPair data;
  schedule::Plan plan;
  std::unique_ptr<nn::Model> model;
  std::unique_ptr<optim::Optimizer> optimizer;
};

// Chooses the device, sets the number of compute threads, loads the data, makes the plan and the network.
Parts Build(const config::Options& options);

}  // namespace crescendo::train
