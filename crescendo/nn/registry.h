// The networks there are. The next one is a file with a function like MakeMlp, its case of config::ModelName and that
// of BuildModel.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "crescendo/config/options.h"
#include "crescendo/nn/model.h"

namespace crescendo::nn {

// What a network is made from.
struct ModelRequest {
  config::ModelOptions options;
  std::vector<int64_t> example_shape;  // [C, H, W] or [F]
  int64_t classes;
  uint64_t seed;
};

// UserError for inputs the network does not take.
std::unique_ptr<Model> BuildModel(const config::ModelOptions& options, const std::vector<int64_t>& example_shape,
                                  int64_t classes, uint64_t seed);

}  // namespace crescendo::nn
