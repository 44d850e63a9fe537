// The networks there are. The next one is a file with a function like MakeMlp, and its line in registry.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
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

// UserError for a name that is not in the table (with the nearest that is) and for inputs the network does not take.
std::unique_ptr<Model> BuildModel(const config::ModelOptions& options, const std::vector<int64_t>& example_shape,
                                  int64_t classes, uint64_t seed);

std::vector<std::string> ModelNames();

}  // namespace crescendo::nn
