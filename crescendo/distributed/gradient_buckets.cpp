#include "crescendo/distributed/gradient_buckets.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include "crescendo/base/error.h"

namespace crescendo::distributed {

class GradientBuckets::Hook : public torch::autograd::PostAccumulateGradHook {
 public:
  Hook(GradientBuckets& buckets, size_t slot) : buckets_(buckets), slot_(slot) {}

  void operator()(const torch::autograd::Variable& /*parameter*/) override {
    if (!buckets_.last_backward_) return;
    buckets_.Fill(buckets_.slots_[slot_]);
    buckets_.SendWhole();
  }

 private:
  GradientBuckets& buckets_;
  size_t slot_;
};

GradientBuckets::GradientBuckets(Group& group, std::vector<at::Tensor> parameters, int64_t bucket_bytes)
    : group_(group) {
  if (group.size() == 1) return;
  std::vector<at::Tensor> members;
  int64_t bytes = 0;
  for (size_t i = parameters.size(); i-- > 0;) {
    members.push_back(parameters[i]);
    bytes += static_cast<int64_t>(parameters[i].nbytes());
    const bool next_is_alike = i > 0 && parameters[i - 1].scalar_type() == parameters[i].scalar_type();
    if (bytes < bucket_bytes && next_is_alike) continue;
    AddBucket(members);
    members.clear();
    bytes = 0;
  }
  for (size_t i = 0; i < slots_.size(); ++i) {
    torch::autograd::impl::set_post_acc_grad_hooks(slots_[i].parameter, std::make_unique<Hook>(*this, i));
  }
}

GradientBuckets::~GradientBuckets() {
  for (const Slot& slot : slots_) torch::autograd::impl::set_post_acc_grad_hooks(slot.parameter, nullptr);
}

void GradientBuckets::AddBucket(const std::vector<at::Tensor>& parameters) {
  int64_t size = 0;
  for (const at::Tensor& parameter : parameters) size += parameter.numel();
  Bucket bucket;
  bucket.flat = at::empty({size}, parameters.front().detach().options());
  bucket.slots = parameters.size();
  bucket.unfilled = bucket.slots;
  int64_t begin = 0;
  for (const at::Tensor& parameter : parameters) {
    CRESCENDO_ASSERT(parameter.is_non_overlapping_and_dense(), "a parameter is dense in memory");
    slots_.push_back(
        {parameter, bucket.flat.as_strided(parameter.sizes(), parameter.strides(), begin), buckets_.size()});
    begin += parameter.numel();
  }
  buckets_.push_back(std::move(bucket));
}

void GradientBuckets::ExpectLastBackward() { last_backward_ = true; }

void GradientBuckets::SendRest() {
  for (Slot& slot : slots_) {
    if (slot.filled) continue;
    // No backward pass here: an update in which this worker has no share, or one that is being given up.
    CRESCENDO_ASSERT(!last_backward_, "every parameter takes part in the loss");
    Fill(slot);
  }
  SendWhole();
}

void GradientBuckets::Finish() {
  SendRest();
  for (Bucket& bucket : buckets_) {
    bucket.sum->Wait();
    bucket.sum.reset();
    bucket.unfilled = bucket.slots;
  }
  for (Slot& slot : slots_) {
    slot.parameter.mutable_grad() = slot.view;
    slot.filled = false;
  }
  sent_ = 0;
  last_backward_ = false;
}

void GradientBuckets::Fill(Slot& slot) {
  const at::NoGradGuard no_gradients;
  if (slot.parameter.grad().defined()) {
    slot.view.copy_(slot.parameter.grad());
  } else {
    slot.view.zero_();
  }
  slot.filled = true;
  --buckets_[slot.bucket].unfilled;
}

void GradientBuckets::SendWhole() {
  for (; sent_ < buckets_.size() && buckets_[sent_].unfilled == 0; ++sent_) {
    buckets_[sent_].sum = group_.BeginSum(buckets_[sent_].flat);
  }
}

}  // namespace crescendo::distributed
