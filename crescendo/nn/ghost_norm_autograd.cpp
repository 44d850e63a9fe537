#include "crescendo/nn/ghost_norm_autograd.h"

#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <atomic>
#include <optional>

#include "crescendo/nn/ghost_norm_math.h"

namespace crescendo::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class Function : public torch::autograd::Function<Function> {
 public:
  // weight and bias stand beside `tensors`, which holds them too, because gradients go to arguments that are tensors.
  static variable_list forward(AutogradContext* context, const at::Tensor& inputs,
                               const std::optional<at::Tensor>& residual, const at::Tensor& weight,
                               const at::Tensor& bias, const schedule::GhostSizes& ghosts, const NormTensors& tensors,
                               const GhostNormOptions& options) {
    const GhostNormForward forward =
        ForwardGhostNorm(inputs, residual.value_or(at::Tensor()), ghosts, tensors, options);
    context->save_for_backward({forward.sum, forward.mean, forward.inverse_deviation, weight, bias});
    context->saved_data["ghosts"] = ghosts;
    context->saved_data["relu"] = options.relu;
    context->saved_data["residual"] = residual.has_value();
    context->set_materialize_grads(false);
    if (residual.has_value()) return {forward.output, forward.sum};
    return {forward.output};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const GhostNormForward forward = {{}, saved[0], saved[1], saved[2]};
    const bool residual = context->saved_data["residual"].toBool();
    const GhostNormGradients result =
        BackwardGhostNorm(gradients[0].defined() ? gradients[0] : at::zeros_like(forward.sum),
                          residual ? gradients[1] : at::Tensor(), forward, context->saved_data["ghosts"].toIntVector(),
                          {saved[3], saved[4], {}, {}}, {.relu = context->saved_data["relu"].toBool()});
    return {result.sum, residual ? result.sum : at::Tensor(), result.weight, result.bias, {}, {}, {}};
  }
};

variable_list Apply(const at::Tensor& inputs, const std::optional<at::Tensor>& residual,
                    const schedule::GhostSizes& ghosts, const NormTensors& tensors, GhostNormOptions options) {
  options.relu = true;
  return Function::apply(inputs, residual, tensors.weight, tensors.bias, ghosts, tensors, options);
}

std::atomic<bool> use_kernels = false;

}  // namespace

void UseGhostNormKernels(bool use) { use_kernels = use; }

bool UsesGhostNormKernels(const at::Tensor& inputs, const schedule::GhostSizes& ghosts) {
  const int64_t rows_of_example = inputs.numel() / (inputs.size(0) * inputs.size(1));
  return use_kernels && ghosts.back() * rows_of_example > 1 &&
         static_cast<int64_t>(ghosts.size()) <= kMostGhostsOfALaunch;
}

at::Tensor GhostNormRelu(const at::Tensor& inputs, const schedule::GhostSizes& ghosts, const NormTensors& tensors,
                         const GhostNormOptions& options) {
  return Apply(inputs, std::nullopt, ghosts, tensors, options)[0];
}

NormOfSum GhostNormReluOfSum(const at::Tensor& inputs, const at::Tensor& residual, const schedule::GhostSizes& ghosts,
                             const NormTensors& tensors, const GhostNormOptions& options) {
  const variable_list both = Apply(inputs, residual, ghosts, tensors, options);
  return {both[0], both[1]};
}

}  // namespace crescendo::nn
