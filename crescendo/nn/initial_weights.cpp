#include "crescendo/nn/initial_weights.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <cmath>
#include <numbers>

#include "crescendo/base/random.h"

namespace crescendo::nn {

at::Tensor InitialWeights::Normal(const std::vector<int64_t>& shape, double deviation) {
  at::Tensor weights = at::empty(shape, at::kFloat);
  auto* values = weights.mutable_data_ptr<float>();
  const int64_t count = weights.numel();
  const uint64_t key = RandomKey(seed_, Stream::kInitialWeights, drawn_++);
  constexpr int64_t kPairsPerTask = 16384;
  at::parallel_for(0, (count + 1) / 2, kPairsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t pair = begin; pair < end; ++pair) {
      // Two elements from the two halves of one draw. The first half must not be 0, whose logarithm is infinite.
      const uint64_t bits = RandomBits(key, static_cast<uint64_t>(pair));
      const double radius = deviation * std::sqrt(-2 * std::log((static_cast<double>(bits >> 32) + 1) * 0x1.0p-32));
      const double angle = 2 * std::numbers::pi * static_cast<double>(bits & 0xffffffff) * 0x1.0p-32;
      values[2 * pair] = static_cast<float>(radius * std::cos(angle));
      if (2 * pair + 1 < count) values[2 * pair + 1] = static_cast<float>(radius * std::sin(angle));
    }
  });
  return weights;
}

}  // namespace crescendo::nn
