#include "crescendo/nn/initial_weights.h"

#include <ATen/ops/empty.h>

#include <cmath>
#include <numbers>

#include "crescendo/base/random.h"

namespace crescendo::nn {

at::Tensor InitialWeights::Normal(const std::vector<int64_t>& shape, double deviation) {
  at::Tensor weights = at::empty(shape, at::TensorOptions(at::kFloat));
  auto* values = weights.mutable_data_ptr<float>();
  const uint64_t key = RandomKey(seed_, Stream::kInitialWeights, parameter_++);
  for (int64_t i = 0; i < weights.numel(); ++i) {
    // Box-Muller, from the two halves of one draw.
    const uint64_t bits = RandomBits(key, static_cast<uint64_t>(i));
    const double radius = std::sqrt(-2 * std::log((static_cast<double>(bits >> 32) + 1) * 0x1.0p-32));
    const double angle = 2 * std::numbers::pi * static_cast<double>(bits & 0xffffffff) * 0x1.0p-32;
    values[i] = static_cast<float>(deviation * radius * std::cos(angle));
  }
  return weights;
}

}  // namespace crescendo::nn
