// The sum of an update with run.reproducible: equal bits for any micro-batch, any number of workers and any place where
// the run was stopped.
//
// Two things make bits depend on the layout: kernels that add over the examples in an order that hangs on how many they
// are given, and the order in which parts of an update are added up. So a micro-batch is one ghost batch, which is a
// constant of the model, and gradients, losses and statistics are summed over ghosts in a fixed tree (tree_sum.h).
//
// Running statistics advance once per ghost, r <- (1-a) r + a s_k, which over K ghosts is
//   r <- (1-a)^K r + sum_k (1-a)^(K-1-k) a s_k.
// The forward pass of a ghost begins with statistics of 0 and so leaves a s_k in them: a term of the sum. (A single
// ghost begins with r, since one that is too small for a variance is normalised by r; its sum is what it leaves.)
//
// Of several workers each makes the tree of its own ghosts; what is left, at most 2 log2(ghosts) nodes of the size of
// the model each, goes to all others, and every worker finishes the tree. That is more to send than in normal mode, and
// nothing of it is hidden behind the backward pass.
#pragma once

#include <vector>

#include "crescendo/train/tree_sum.h"
#include "crescendo/train/update_sum.h"

namespace crescendo::train {

class ReproducibleSum : public UpdateSum {
 public:
  // Both must outlive it. `norm_momentum`: a.
  ReproducibleSum(distributed::Group& group, nn::Model& model, double norm_momentum);

  // REQUIRES micro-batches of one ghost each.
  void Begin(const schedule::RankShare& share) override;
  void BeforeForward(bool last_of_share) override;
  void AfterBackward(const at::Tensor& loss) override;
  Totals Finish(const WorkerNumbers& numbers, LossSum loss_sum) override;

 private:
  TreeSum Gather() const;

  distributed::Group& group_;
  std::vector<at::Tensor> parameters_;
  std::vector<at::Tensor> statistics_;
  double norm_momentum_;

  std::vector<at::Tensor> before_;  // the statistics
  int64_t ghosts_ = 0;              // of the global batch
  int64_t ghost_ = 0;               // of them, the next
  TreeSum tree_;                    // of this worker's share; each node: gradients, statistics, loss
};

}  // namespace crescendo::train
