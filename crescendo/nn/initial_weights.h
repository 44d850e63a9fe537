// Initial weights as a function of (seed, number of the weight in its model, element): the same on every device, at any
// number of threads, and untouched by what else draws random numbers.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace crescendo::nn {

// Draws the weights of a model, one tensor after the other.
class InitialWeights {
 public:
  explicit InitialWeights(uint64_t seed) : seed_(seed) {}

  // fp32, mean 0. Box & Muller (1958).
  at::Tensor Normal(const std::vector<int64_t>& shape, double deviation);

 private:
  uint64_t seed_;
  uint64_t drawn_ = 0;  // tensors
};

}  // namespace crescendo::nn
