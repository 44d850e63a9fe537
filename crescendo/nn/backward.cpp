#include "crescendo/nn/backward.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/functions/accumulate_grad.h>

#include <memory>
#include <typeinfo>
#include <utility>

#include "crescendo/nn/lean_node.h"

namespace crescendo::nn {
namespace {

using torch::autograd::AccumulateGrad;
using torch::autograd::Edge;
using torch::autograd::Node;

bool IsLeaf(const Node& node) { return typeid(node) == typeid(AccumulateGrad); }

// Whether each node has one other than leaves to hand its gradient to, down to the last.
bool IsChain(const Node* node) {
  while (node != nullptr) {
    if (dynamic_cast<const LeanNode*>(node) == nullptr || node->num_inputs() != 1) return false;
    const Node* next = nullptr;
    for (const Edge& edge : node->next_edges()) {
      if (!edge.is_valid() || IsLeaf(*edge.function)) continue;
      if (next != nullptr) return false;
      next = edge.function.get();
    }
    node = next;
  }
  return true;
}

}  // namespace

void Backward(const at::Tensor& loss, const at::Tensor& gradient) {
  if (!loss.is_cpu() || !IsChain(loss.grad_fn().get())) {
    loss.backward(gradient);
    return;
  }
  const at::NoGradGuard no_gradients;
  std::shared_ptr<Node> node = loss.grad_fn();
  torch::autograd::variable_list outputs_gradients{gradient};
  while (node != nullptr) {
    torch::autograd::variable_list gradients = (*node)(std::move(outputs_gradients));
    node->release_variables();
    std::shared_ptr<Node> next;
    torch::autograd::variable_list next_gradients;
    for (size_t i = 0; i < gradients.size(); ++i) {
      const Edge& edge = node->next_edge(i);
      if (!edge.is_valid()) continue;
      torch::autograd::variable_list one(1);
      one[0] = std::move(gradients[i]);  // a leaf that finds it unshared keeps it as it is
      if (IsLeaf(*edge.function)) {
        (*edge.function)(std::move(one));
      } else {
        next = edge.function;
        next_gradients = std::move(one);
      }
    }
    node = std::move(next);
    outputs_gradients = std::move(next_gradients);
  }
}

}  // namespace crescendo::nn
