// The sum of all workers' gradients, sent off piece by piece while the backward pass still runs.
//
//   GradientBuckets buckets(group, parameters);
//   for each micro-batch of this worker's share:
//     if (it is the last) buckets.ExpectLastBackward();
//     loss.backward();
//   buckets.Finish();            // .grad: the sum over all micro-batches of all workers, in the same bits everywhere
//   optimizer->Step(setting);
//
// Each worker's losses are divided by the global batch, not by its share, so that the sum is the mean gradient: no mean
// of means. A worker without a share calls Finish alone, and adds nothing.
//
// The parameters are dealt in the order in which backward reaches them, the last first, into flat buffers; a buffer is
// sent as soon as the gradients of all its parameters have been copied in, always in the same order. (A copy costs less
// than accumulating into the buffer would: autograd hands over its first gradient as it is, and into a buffer it would
// have to be added.) After Finish, .grad are views of the buffers, in the memory format of their parameters. In a group
// of one nothing is copied and .grad stays what autograd made.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "crescendo/distributed/group.h"

namespace crescendo::distributed {

class GradientBuckets {
 public:
  // Large enough that a sum is bound by the network's speed and not by its delay, small enough that a network of a few
  // million weights has several.
  static constexpr int64_t kBucketBytes = int64_t{2} << 20;

  // `parameters`: leaves that require gradients, all of which take part in every loss; on their device and in their
  // memory format already. Group and parameters must outlive it.
  GradientBuckets(Group& group, std::vector<at::Tensor> parameters, int64_t bucket_bytes = kBucketBytes);
  ~GradientBuckets();
  GradientBuckets(const GradientBuckets&) = delete;
  GradientBuckets& operator=(const GradientBuckets&) = delete;

  void ExpectLastBackward();
  void SendRest();  // what no backward pass has sent; other sums that are begun next are then under way beside these
  void Finish();    // sends the rest, if that was not done, and waits

 private:
  class Hook;

  struct Slot {
    at::Tensor parameter;
    at::Tensor view;  // of its bucket, shaped and strided like the parameter
    size_t bucket = 0;
    bool filled = false;
  };
  struct Bucket {
    at::Tensor flat;
    size_t unfilled = 0;  // slots
    size_t slots = 0;
    std::unique_ptr<Group::Pending> sum;
  };

  void AddBucket(const std::vector<at::Tensor>& parameters);
  void Fill(Slot& slot);
  void SendWhole();

  Group& group_;
  std::vector<Slot> slots_;
  std::vector<Bucket> buckets_;
  size_t sent_ = 0;  // buckets, in order
  bool last_backward_ = false;
};

}  // namespace crescendo::distributed
