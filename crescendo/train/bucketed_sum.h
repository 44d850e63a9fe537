// The sum of an update in normal mode: autograd accumulates the gradients of micro-batches, flat buckets of them are
// summed over the workers while the last backward pass still runs (distributed/gradient_buckets.h).
//
// Running statistics. After the K ghosts of an update they are r <- (1-a)^K r + a sum_k (1-a)^(K-1-k) s_k (mathematics
// of ghost batch norm, nn/ghost_batch_norm.h), which is linear in r and in the statistics s_k of the ghosts. So worker
// 0, which has the first ghosts, begins from r and the others from zero; each multiplies what it has by (1-a)^(number
// of ghosts behind its own), and the sum is what one worker with all the ghosts would have, up to rounding. (A ghost of
// one row of a table has no statistics and is normalised by r; then it is the only ghost of the update, and worker
// 0's.)
//
// In a group of one, nothing is copied, sent or waited for.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "crescendo/distributed/gradient_buckets.h"
#include "crescendo/train/update_sum.h"

namespace crescendo::train {

class BucketedSum : public UpdateSum {
 public:
  // All must outlive it. `norm_momentum`: a.
  BucketedSum(distributed::Group& group, const nn::Model& model, double norm_momentum);

  void Begin(const schedule::RankShare& share) override;
  void BeforeForward(bool last_of_share) override;
  void AfterBackward(const at::Tensor& loss) override;
  Totals Finish(const WorkerNumbers& numbers, LossSum loss_sum) override;

 private:
  distributed::Group& group_;
  std::vector<at::Tensor> statistics_;  // the model's
  at::Tensor flat_statistics_;          // one after the other; undefined where there are none to sum
  double norm_momentum_;
  distributed::GradientBuckets gradients_;
  int64_t ghosts_after_ = 0;
  at::Tensor loss_sum_;  // undefined before the first
};

}  // namespace crescendo::train
