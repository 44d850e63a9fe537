#include "crescendo/nn/linear_function.h"

#include <ATen/autocast_mode.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/addmm_cpu_dispatch.h>
#include <ATen/ops/empty_cpu_dispatch.h>
#include <ATen/ops/mm_cpu_dispatch.h>
#include <ATen/ops/sum_cpu_dispatch.h>

#include "crescendo/nn/lean_node.h"

namespace crescendo::nn {
namespace {

class LinearBackward : public LeanNode {
 public:
  LinearBackward(const at::Tensor& inputs, const at::Tensor& weight, const at::Tensor& bias)
      : LeanNode(inputs, weight, bias), inputs_(inputs, /*is_output=*/false), weight_(weight, /*is_output=*/false) {}

 private:
  std::vector<at::Tensor> Gradients(const torch::autograd::variable_list& outputs_gradients) override {
    const at::Tensor inputs = inputs_.unpack();
    const at::Tensor weight = weight_.unpack();
    const at::Tensor gradient = outputs_gradients[0].contiguous();
    std::vector<at::Tensor> gradients(3);
    if (task_should_compute_output(0)) gradients[0] = at::cpu::mm(gradient, weight);
    if (task_should_compute_output(1)) gradients[1] = at::cpu::mm(gradient.t(), inputs);
    if (task_should_compute_output(2)) gradients[2] = at::cpu::sum(gradient, 0);
    return gradients;
  }
  void Release() override {
    inputs_.reset_data();
    weight_.reset_data();
  }

  torch::autograd::SavedVariable inputs_;
  torch::autograd::SavedVariable weight_;
};

bool IsTable(const at::Tensor& tensor) {
  return tensor.is_cpu() && tensor.scalar_type() == at::kFloat && tensor.dim() == 2 && tensor.is_contiguous();
}

}  // namespace

bool CanMultiplyTable(const at::Tensor& inputs, const at::Tensor& weight) {
  return IsTable(inputs) && IsTable(weight) && !at::autocast::is_autocast_enabled(at::kCPU);
}

at::Tensor MultiplyTable(const at::Tensor& inputs, const at::Tensor& weight, const at::Tensor& bias) {
  at::Tensor outputs;
  {
    const at::AutoDispatchBelowADInplaceOrView no_autograd;
    outputs = bias.defined() ? at::cpu::addmm(bias, inputs, weight.t()) : at::cpu::mm(inputs, weight.t());
  }
  return WithHistory<LinearBackward>(std::move(outputs), inputs, weight, bias);
}

}  // namespace crescendo::nn
