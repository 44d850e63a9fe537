#include "crescendo/nn/ghost_norm.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/DeviceGuard.h>
#include <c10/util/BFloat16.h>

#include <algorithm>
#include <numeric>

#include "crescendo/base/error.h"
#include "crescendo/nn/ghost_norm_math.h"

namespace crescendo::nn {
namespace {

using schedule::GhostSizes;

// One ghost keeps a GPU busy: two blocks for each of the 132 multiprocessors of an H100, as far as there is work for
// them. What ghosts are cut into depends on the size of the smallest and
// not on how many there are, and so do their bits.
constexpr int64_t kBlocksOfAGhost = 264;
constexpr int64_t kLeastElementsOfABlock = 8192;

GhostLayout LayoutOf(const at::Tensor& inputs, const GhostSizes& ghosts) {
  CRESCENDO_ASSERT(!ghosts.empty() && std::accumulate(ghosts.begin(), ghosts.end(), int64_t{0}) == inputs.size(0),
                   "the ghosts make up the micro-batch");
  const int64_t channels = inputs.size(1);
  GhostLayout layout;
  layout.ghosts = static_cast<int64_t>(ghosts.size());
  layout.step = inputs.numel() / (inputs.size(0) * channels);
  layout.rows = ghosts.back() * layout.step;
  layout.larger = ghosts.front() == ghosts.back() ? 0 : std::count(ghosts.begin(), ghosts.end(), ghosts.front());
  for (int64_t k = 0; k < layout.ghosts; ++k) {
    CRESCENDO_ASSERT(ghosts[k] * layout.step == layout.RowsOf(k), "ghosts differ by one example, the larger first");
  }
  CRESCENDO_ASSERT(layout.rows > 1, "a ghost has a variance");
  const int64_t blocks = std::min(kBlocksOfAGhost, layout.rows * channels / kLeastElementsOfABlock);
  layout.chunks = std::clamp<int64_t>(blocks / GhostNormTiles(channels), 1, layout.rows);
  return layout;
}

at::Tensor AsRows(const at::Tensor& tensor) {
  return tensor.contiguous(tensor.dim() == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
}

at::Tensor MakeSums(const GhostLayout& layout, int64_t channels, int64_t chunks, at::Device device) {
  static_assert(sizeof(Sums) == 2 * sizeof(float));
  return at::empty({layout.ghosts, chunks, channels, 2}, at::TensorOptions(at::kFloat).device(device));
}

Sums* SumsIn(at::Tensor& tensor) { return reinterpret_cast<Sums*>(tensor.mutable_data_ptr<float>()); }

// visit(element, channel) for the rows [begin, end).
template <class Visit>
void ForElements(int64_t begin, int64_t end, int64_t channels, Visit&& visit) {
  for (int64_t row = begin; row < end; ++row) {
    for (int64_t channel = 0; channel < channels; ++channel) visit(row * channels + channel, channel);
  }
}

// finish(ghost, channel, the sums of its chunks).
template <class Finish>
void ForGhosts(const GhostLayout& layout, int64_t channels, const Sums* partial, Finish&& finish) {
  for (int64_t ghost = 0; ghost < layout.ghosts; ++ghost) {
    for (int64_t channel = 0; channel < channels; ++channel) {
      Sums sums;
      for (int64_t chunk = 0; chunk < layout.chunks; ++chunk) {
        sums.Add(partial[(ghost * layout.chunks + chunk) * channels + channel]);
      }
      finish(ghost, channel, sums);
    }
  }
}

template <class T>
void ForwardOnCpu(const GhostNormForwardJob<T>& job) {
  const GhostLayout& layout = job.layout;
  const int64_t channels = job.channels;
  for (int64_t ghost = 0; ghost < layout.ghosts; ++ghost) {
    for (int64_t chunk = 0; chunk < layout.chunks; ++chunk) {
      Sums* sums = job.partial + (ghost * layout.chunks + chunk) * channels;
      std::fill_n(sums, channels, Sums{});
      ForElements(layout.ChunkBegin(ghost, chunk), layout.ChunkBegin(ghost, chunk + 1), channels,
                  [&](int64_t element, int64_t channel) {
                    const T s = job.SumAt(element);
                    if (job.residual != nullptr) job.sum[element] = s;
                    sums[channel].AddDistance(static_cast<float>(s) - job.Pivot(ghost, channel));
                  });
    }
  }
  ForGhosts(layout, channels, job.partial,
            [&](int64_t ghost, int64_t channel, const Sums& sums) { job.Finish(ghost, channel, sums); });
  for (int64_t channel = 0; channel < channels; ++channel) job.AdvanceRunning(channel);
  for (int64_t ghost = 0; ghost < layout.ghosts; ++ghost) {
    ForElements(layout.Begin(ghost), layout.Begin(ghost + 1), channels, [&](int64_t element, int64_t channel) {
      const float z = job.NormOf(ghost, channel).Normalise(static_cast<float>(job.s()[element]));
      job.output[element] = static_cast<T>(OutputOf(z, job.relu));
    });
  }
}

template <class T>
void BackwardOnCpu(const GhostNormBackwardJob<T>& job) {
  const GhostLayout& layout = job.layout;
  const int64_t channels = job.channels;
  const auto gradient_of_z = [&](int64_t ghost, int64_t element, int64_t channel) {
    return GradientOfZ(static_cast<float>(job.output_gradient[element]), job.NormOf(ghost, channel),
                       static_cast<float>(job.s[element]), job.relu);
  };
  for (int64_t ghost = 0; ghost < layout.ghosts; ++ghost) {
    for (int64_t chunk = 0; chunk < layout.chunks; ++chunk) {
      Sums* sums = job.partial + (ghost * layout.chunks + chunk) * channels;
      std::fill_n(sums, channels, Sums{});
      ForElements(layout.ChunkBegin(ghost, chunk), layout.ChunkBegin(ghost, chunk + 1), channels,
                  [&](int64_t element, int64_t channel) {
                    sums[channel].AddGradient(gradient_of_z(ghost, element, channel),
                                              static_cast<float>(job.s[element]) - job.NormOf(ghost, channel).mean);
                  });
    }
  }
  ForGhosts(layout, channels, job.partial,
            [&](int64_t ghost, int64_t channel, const Sums& sums) { job.total[ghost * channels + channel] = sums; });
  for (int64_t channel = 0; channel < channels; ++channel) job.SumParameterGradients(channel);
  for (int64_t ghost = 0; ghost < layout.ghosts; ++ghost) {
    ForElements(layout.Begin(ghost), layout.Begin(ghost + 1), channels, [&](int64_t element, int64_t channel) {
      const ChannelNorm norm = job.NormOf(ghost, channel);
      float gradient = job.GradientOf(ghost, channel)
                           .OfInput(gradient_of_z(ghost, element, channel), static_cast<float>(job.s[element]), norm);
      if (job.sum_gradient != nullptr) gradient += static_cast<float>(job.sum_gradient[element]);
      job.result[element] = static_cast<T>(gradient);
    });
  }
}

template <class T>
GhostNormForward Forward(const at::Tensor& inputs, const at::Tensor& residual, const GhostSizes& ghosts,
                         const NormTensors& tensors, const GhostNormOptions& options) {
  const at::Device device = inputs.device();
  GhostNormForwardJob<T> job;
  job.layout = LayoutOf(inputs, ghosts);
  job.channels = inputs.size(1);
  GhostNormForward result;
  result.output = at::empty_like(inputs);
  result.sum = residual.defined() ? at::empty_like(inputs) : inputs;
  const at::TensorOptions floats = at::TensorOptions(at::kFloat).device(device);
  result.mean = at::empty({job.layout.ghosts, job.channels}, floats);
  result.inverse_deviation = at::empty_like(result.mean);
  at::Tensor variance = at::empty_like(result.mean);
  at::Tensor partial = MakeSums(job.layout, job.channels, job.layout.chunks, device);

  job.inputs = inputs.const_data_ptr<T>();
  if (residual.defined()) {
    job.residual = residual.const_data_ptr<T>();
    job.sum = result.sum.mutable_data_ptr<T>();
  }
  job.output = result.output.mutable_data_ptr<T>();
  job.weight = tensors.weight.const_data_ptr<float>();
  job.bias = tensors.bias.const_data_ptr<float>();
  job.running_mean = tensors.running_mean.mutable_data_ptr<float>();
  job.running_variance = tensors.running_variance.mutable_data_ptr<float>();
  job.mean = result.mean.mutable_data_ptr<float>();
  job.variance = variance.mutable_data_ptr<float>();
  job.inverse_deviation = result.inverse_deviation.mutable_data_ptr<float>();
  job.partial = SumsIn(partial);
  job.momentum = static_cast<float>(options.momentum);
  job.epsilon = static_cast<float>(options.epsilon);
  job.relu = options.relu;
#ifdef CRESCENDO_CUDA
  if (device.is_cuda()) {
    const c10::DeviceGuard guard(device);
    ForwardGhostNormOnGpu(job);
    return result;
  }
#endif
  ForwardOnCpu(job);
  return result;
}

template <class T>
GhostNormGradients Backward(const at::Tensor& output_gradient, const at::Tensor& sum_gradient,
                            const GhostNormForward& forward, const GhostSizes& ghosts, const NormTensors& tensors,
                            const GhostNormOptions& options) {
  const at::Device device = forward.sum.device();
  GhostNormBackwardJob<T> job;
  job.layout = LayoutOf(forward.sum, ghosts);
  job.channels = forward.sum.size(1);
  GhostNormGradients result;
  result.sum = at::empty_like(forward.sum);
  result.weight = at::empty_like(tensors.weight);
  result.bias = at::empty_like(tensors.bias);
  at::Tensor partial = MakeSums(job.layout, job.channels, job.layout.chunks, device);
  at::Tensor total = MakeSums(job.layout, job.channels, 1, device);

  job.s = forward.sum.const_data_ptr<T>();
  job.output_gradient = output_gradient.const_data_ptr<T>();
  if (sum_gradient.defined()) job.sum_gradient = sum_gradient.const_data_ptr<T>();
  job.result = result.sum.mutable_data_ptr<T>();
  job.weight = tensors.weight.const_data_ptr<float>();
  job.bias = tensors.bias.const_data_ptr<float>();
  job.mean = forward.mean.const_data_ptr<float>();
  job.inverse_deviation = forward.inverse_deviation.const_data_ptr<float>();
  job.weight_gradient = result.weight.mutable_data_ptr<float>();
  job.bias_gradient = result.bias.mutable_data_ptr<float>();
  job.partial = SumsIn(partial);
  job.total = SumsIn(total);
  job.relu = options.relu;
#ifdef CRESCENDO_CUDA
  if (device.is_cuda()) {
    const c10::DeviceGuard guard(device);
    BackwardGhostNormOnGpu(job);
    return result;
  }
#endif
  BackwardOnCpu(job);
  return result;
}

}  // namespace

GhostNormForward ForwardGhostNorm(const at::Tensor& inputs, const at::Tensor& residual, const GhostSizes& ghosts,
                                  const NormTensors& tensors, const GhostNormOptions& options) {
  const at::NoGradGuard no_gradients;
  const at::Tensor rows = AsRows(inputs);
  const at::Tensor added = residual.defined() ? AsRows(residual.to(inputs.scalar_type())) : residual;
  CRESCENDO_ASSERT(!added.defined() || added.sizes() == inputs.sizes(), "a residual is like the inputs");
  return inputs.scalar_type() == at::kBFloat16 ? Forward<c10::BFloat16>(rows, added, ghosts, tensors, options)
                                               : Forward<float>(rows, added, ghosts, tensors, options);
}

GhostNormGradients BackwardGhostNorm(const at::Tensor& output_gradient, const at::Tensor& sum_gradient,
                                     const GhostNormForward& forward, const GhostSizes& ghosts,
                                     const NormTensors& tensors, const GhostNormOptions& options) {
  const at::NoGradGuard no_gradients;
  // Autograd may hand over gradients in another layout, or spread from one value.
  const at::Tensor of_output = AsRows(output_gradient.to(forward.sum.scalar_type()));
  const at::Tensor of_sum = sum_gradient.defined() ? AsRows(sum_gradient.to(forward.sum.scalar_type())) : sum_gradient;
  return forward.sum.scalar_type() == at::kBFloat16
             ? Backward<c10::BFloat16>(of_output, of_sum, forward, ghosts, tensors, options)
             : Backward<float>(of_output, of_sum, forward, ghosts, tensors, options);
}

}  // namespace crescendo::nn
