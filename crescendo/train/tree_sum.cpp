#include "crescendo/train/tree_sum.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_add.h>

#include "crescendo/base/error.h"

namespace crescendo::train {
namespace {

void AddInto(std::vector<at::Tensor>& sum, const std::vector<at::Tensor>& values) {
  if (!sum.empty()) at::_foreach_add_(sum, values);
}

bool AreHalves(const TreeSum::Node& left, const TreeSum::Node& right) {
  return left.count == right.count && left.begin % (2 * left.count) == 0;
}

}  // namespace

void TreeSum::Append(Node node) {
  CRESCENDO_ASSERT(nodes_.empty() || nodes_.back().begin + nodes_.back().count == node.begin, "positions in order");
  CRESCENDO_ASSERT(node.begin % node.count == 0, "a node begins at a multiple of its size");
  const at::NoGradGuard no_gradients;
  nodes_.push_back(std::move(node));
  while (nodes_.size() > 1 && AreHalves(nodes_[nodes_.size() - 2], nodes_.back())) {
    Node& left = nodes_[nodes_.size() - 2];
    AddInto(left.values, nodes_.back().values);
    left.count *= 2;
    nodes_.pop_back();
  }
}

std::vector<at::Tensor> TreeSum::Total() {
  CRESCENDO_ASSERT(!nodes_.empty() && nodes_.front().begin == 0, "the sum begins at position 0");
  const at::NoGradGuard no_gradients;
  while (nodes_.size() > 1) {
    Node& left = nodes_[nodes_.size() - 2];
    AddInto(left.values, nodes_.back().values);
    nodes_.pop_back();
  }
  std::vector<at::Tensor> total = std::move(nodes_.front().values);
  nodes_.clear();
  if (!total.empty()) at::_foreach_add_(total, 0);  // -0 becomes 0
  return total;
}

}  // namespace crescendo::train
