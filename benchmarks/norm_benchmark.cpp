// Batch norm with ReLU, forward and backward, on the largest activations of WRN-16-4: as one operation (norm_relu.h)
// and as LibTorch's two.
#include <ATen/Parallel.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randn_like.h>
#include <benchmark/benchmark.h>

#include "crescendo/device/cpu_allocator.h"
#include "crescendo/nn/ghost_batch_norm.h"

namespace crescendo::nn {
namespace {

class NormRelu : public Model {
 public:
  NormRelu(int64_t channels, bool fused) : norm_(*this, "norm", channels, {}), fused_(fused) {}

 protected:
  at::Tensor Run(const at::Tensor& inputs, const schedule::GhostSizes* ghosts) override {
    return fused_ ? norm_.ThenRelu(inputs, ghosts) : norm_(inputs, ghosts).relu_();
  }

 private:
  GhostBatchNorm norm_;
  bool fused_;
};

void NormAndRelu(benchmark::State& state) {
  constexpr int64_t kExamples = 128;
  device::InstallCachingCpuAllocator();
  at::set_num_threads(1);
  NormRelu model(64, state.range(1) == 1);
  const at::ScalarType type = state.range(0) == 16 ? at::kBFloat16 : at::kFloat;
  const at::Tensor inputs =
      at::randn({kExamples, 64, 32, 32}).to(type).contiguous(at::MemoryFormat::ChannelsLast).requires_grad_();
  const at::Tensor gradient = at::randn_like(inputs, at::MemoryFormat::Preserve);
  for (auto _ : state) {
    inputs.mutable_grad() = at::Tensor();
    model.Forward(inputs, {kExamples}).backward(gradient);
  }
}
BENCHMARK(NormAndRelu)
    ->ArgNames({"bits", "fused"})
    ->ArgsProduct({{16, 32}, {0, 1}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace crescendo::nn
