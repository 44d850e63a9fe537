// A node of LibTorch's graph that keeps little book: outputs, tensors to differentiate by, a backward pass.
//
// torch::autograd::Function is the usual way to write one; it keeps lists, maps and metadata for every case there is,
// which for a small network takes as long as computing it. This is the base class of LibTorch's own operators, as its
// generated code uses it.
#pragma once

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/Tensor.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "crescendo/base/error.h"

namespace crescendo::nn {

class LeanNode : public torch::autograd::Node {
 public:
  // `inputs`: what there will be gradients for, in this order; undefined ones are passed over.
  template <class... Tensors>
  explicit LeanNode(const Tensors&... inputs) : Node(torch::autograd::collect_next_edges(inputs...)) {}

  torch::autograd::variable_list apply(torch::autograd::variable_list&& outputs_gradients) final {
    CRESCENDO_ASSERT(!at::GradMode::is_enabled(), "these operators are differentiable once");
    const auto is_defined = [](const at::Tensor& gradient) { return gradient.defined(); };
    if (std::ranges::none_of(outputs_gradients, is_defined)) return torch::autograd::variable_list(num_outputs());
    const at::AutoDispatchBelowADInplaceOrView no_autograd;
    return Gradients(outputs_gradients);
  }
  void release_variables() final { Release(); }

 private:
  // One for each input, where task_should_compute_output says that it is wanted; no autograd in it. One gradient per
  // output; undefined where an output had no part in the loss, but not all.
  virtual std::vector<at::Tensor> Gradients(const torch::autograd::variable_list& outputs_gradients) = 0;
  virtual void Release() = 0;  // of what was saved
};

inline bool RequiresGradient(const at::Tensor& tensor) { return tensor.defined() && tensor.requires_grad(); }
template <class Other>
bool RequiresGradient(const Other& /*no_tensor*/) {
  return false;
}

// `outputs`, a tensor or a vector of them, with a node in their history, made of the arguments, if a tensor among these
// requires a gradient.
template <class NodeType, class Outputs, class... Arguments>
Outputs WithHistory(Outputs outputs, const Arguments&... arguments) {
  if (torch::autograd::GradMode::is_enabled() && (RequiresGradient(arguments) || ...)) {
    torch::autograd::set_history(outputs,
                                 std::shared_ptr<NodeType>(new NodeType(arguments...), torch::autograd::deleteNode));
  }
  return outputs;
}

}  // namespace crescendo::nn
