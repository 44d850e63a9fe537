// One update with run.reproducible: equal bits for any micro-batch, any number of workers and any place where the run
// was stopped.
//
//   ReproducibleSum sum(*parts.model, options.model.norm_momentum);
//   sum.Begin(ghosts);                                  // of the whole global batch
//   for each ghost k of this worker's share:
//     sum.BeforeForward(k);
//     ... forward and backward of this ghost alone ...
//     sum.AfterBackward(loss);
//   double loss_sum = sum.Finish();                     // .grad and the running statistics are those of the update
//
// Two things make bits depend on the layout: kernels that add over the examples in an order that hangs on how many they
// are given, and the order in which parts of an update are added up. So each ghost batch, which is a constant of the
// model, is computed alone, and gradients, losses and statistics are summed over ghosts in a fixed tree (tree_sum.h).
//
// Running statistics advance once per ghost, r <- (1-a) r + a s_k, which over K ghosts is
//   r <- (1-a)^K r + sum_k (1-a)^(K-1-k) a s_k.
// The forward pass of a ghost begins with statistics of 0 and so leaves a s_k in them: a term of the sum. (A single
// ghost begins with r, since one that is too small for a variance is normalised by r; its sum is what it leaves.)
//
// For several workers: each calls BeforeForward and AfterBackward for the ghosts of its own share; then the nodes of
// all trees are brought together in order and given to Finish on every worker, in place of its own.
#pragma once

#include <vector>

#include "crescendo/nn/model.h"
#include "crescendo/train/tree_sum.h"

namespace crescendo::train {

class ReproducibleSum {
 public:
  // `model` must outlive it. `norm_momentum`: a.
  ReproducibleSum(nn::Model& model, double norm_momentum);

  // Forgets what was not finished. Call it while the running statistics are those before the update.
  void Begin(int64_t ghosts);

  void BeforeForward(int64_t ghost);
  // `loss`: the sum over this ghost's examples. Takes the gradients away from the parameters.
  void AfterBackward(const at::Tensor& loss);

  TreeSum& tree() { return tree_; }  // each node: gradients, statistics, loss

  // Returns the sum of the losses.
  double Finish();

 private:
  std::vector<at::Tensor> parameters_;
  std::vector<at::Tensor> statistics_;
  double norm_momentum_;

  std::vector<at::Tensor> before_;  // the statistics
  int64_t ghosts_ = 0;
  int64_t ghost_ = 0;
  TreeSum tree_;
};

}  // namespace crescendo::train
