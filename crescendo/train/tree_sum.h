// Sums lists of tensors, one list per position 0, 1, 2, ..., in an order of additions that is a function of the number
// of positions alone. Floating-point sums then have the same bits however the positions were dealt out.
//
//   TreeSum sum;                                    // one worker
//   for (int64_t k = 0; k < count; ++k) sum.Add(k, gradients);
//   std::vector<at::Tensor> total = sum.Total();
//
// The order is that of a binary tree over the positions: (0+1), (2+3), ((0+1)+(2+3)), ... A node is the sum over
// 2^level positions that begin at a multiple of 2^level; two nodes that are the halves of a larger one are added as
// soon as both are there, so a list of n positions takes the memory of at most log2(n) + 1 lists. What is left at the
// end, the binary digits of n, is added from the right.
//
// Several workers each add the positions of their own share, which must be consecutive. What a worker then holds,
// nodes(), is at most 2 log2(n) nodes that wait for a half which another worker has. Given to one TreeSum in the order
// of their positions (Append), they make the same additions that one worker would have made:
//
//   TreeSum all;
//   for (worker 0, 1, ...) for (TreeSum::Node& node : nodes of that worker) all.Append(node);
//   all.Total();
//
// A sum of the workers' buffers in which each has written its own nodes, and zeros for those of the others, brings them
// together exactly; it may turn -0 into 0, and so Total does that too.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace crescendo::train {

class TreeSum {
 public:
  struct Range {
    int64_t begin = 0;  // a multiple of count
    int64_t count = 1;  // of positions: a power of two
  };
  struct Node {
    Range range;
    std::vector<at::Tensor> values;
  };

  // The tensors become the sum's own, which writes to them. REQUIRES the position behind the last, or any for the
  // first.
  void Add(int64_t position, std::vector<at::Tensor> values) { Append({{position, 1}, std::move(values)}); }
  void Append(Node node);

  const std::vector<Node>& nodes() const { return nodes_; }  // in the order of their positions

  // Where the nodes of a sum over the positions begin, ..., end - 1 are.
  static std::vector<Range> NodesOf(int64_t begin, int64_t end);

  // The sum over all positions, which must have begun at 0; the sum is empty then. REQUIRES at least one position.
  std::vector<at::Tensor> Total();

  void Clear() { nodes_.clear(); }

 private:
  std::vector<Node> nodes_;
};

}  // namespace crescendo::train
