#include "crescendo/train/tree_sum.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_add.h>

#include "crescendo/base/error.h"

namespace crescendo::train {
namespace {

void AddInto(std::vector<at::Tensor>& sum, const std::vector<at::Tensor>& values) {
  if (!sum.empty()) at::_foreach_add_(sum, values);
}

bool AreHalves(const TreeSum::Range& left, const TreeSum::Range& right) {
  return left.count == right.count && left.begin % (2 * left.count) == 0;
}

}  // namespace

void TreeSum::Append(Node node) {
  CRESCENDO_ASSERT(nodes_.empty() || nodes_.back().range.begin + nodes_.back().range.count == node.range.begin,
                   "positions in order");
  CRESCENDO_ASSERT(node.range.begin % node.range.count == 0, "a node begins at a multiple of its size");
  const at::NoGradGuard no_gradients;
  nodes_.push_back(std::move(node));
  while (nodes_.size() > 1 && AreHalves(nodes_[nodes_.size() - 2].range, nodes_.back().range)) {
    Node& left = nodes_[nodes_.size() - 2];
    AddInto(left.values, nodes_.back().values);
    left.range.count *= 2;
    nodes_.pop_back();
  }
}

std::vector<TreeSum::Range> TreeSum::NodesOf(int64_t begin, int64_t end) {
  std::vector<Range> ranges;
  for (int64_t position = begin; position < end; ++position) {
    ranges.push_back({position, 1});
    while (ranges.size() > 1 && AreHalves(ranges[ranges.size() - 2], ranges.back())) {
      ranges.pop_back();
      ranges.back().count *= 2;
    }
  }
  return ranges;
}

std::vector<at::Tensor> TreeSum::Total() {
  CRESCENDO_ASSERT(!nodes_.empty() && nodes_.front().range.begin == 0, "the sum begins at position 0");
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
