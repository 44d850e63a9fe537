#include "crescendo/train/bucketed_sum.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <cmath>

#include "crescendo/base/error.h"
#include "crescendo/train/model_tensors.h"

namespace crescendo::train {

BucketedSum::BucketedSum(distributed::Group& group, const nn::Model& model, double norm_momentum)
    : group_(group), norm_momentum_(norm_momentum), gradients_(group, ValuesOf(model.parameters())) {
  int64_t size = 0;
  for (const nn::NamedTensor& buffer : model.buffers()) {
    statistics_.push_back(buffer.value);
    size += buffer.value.numel();
  }
  if (group.size() > 1 && size > 0) flat_statistics_ = at::empty({size}, statistics_.front().options());
}

void BucketedSum::Begin(const schedule::RankShare& share) {
  ghosts_after_ = share.ghosts_after;
  loss_sum_.reset();
  if (group_.rank() == 0) return;
  const at::NoGradGuard no_gradients;
  for (const at::Tensor& statistic : statistics_) statistic.zero_();
}

void BucketedSum::BeforeForward(bool last_of_share) {
  if (last_of_share) gradients_.ExpectLastBackward();
}

void BucketedSum::AfterBackward(const at::Tensor& loss) {
  const at::NoGradGuard no_gradients;
  const at::Tensor value = loss.detach();
  loss_sum_ = loss_sum_.defined() ? loss_sum_.add(value) : value;
}

Totals BucketedSum::Finish(const WorkerNumbers& numbers, LossSum loss_sum) {
  const at::NoGradGuard no_gradients;
  CRESCENDO_ASSERT(loss_sum == LossSum::kRead || group_.size() == 1, "a sum over workers is known to all of them");
  WorkerNumbers own = numbers;
  if (loss_sum_.defined() && loss_sum == LossSum::kRead) own.loss_sum = loss_sum_.item<double>();
  gradients_.SendRest();
  std::unique_ptr<distributed::Group::Pending> statistics;
  if (flat_statistics_.defined()) {
    Pack(statistics_, flat_statistics_);
    flat_statistics_.mul_(std::pow(1 - norm_momentum_, static_cast<double>(ghosts_after_)));
    statistics = group_.BeginSum(flat_statistics_);
  }
  NumbersSum numbers_sum(group_, own);
  gradients_.Finish();
  if (statistics) {
    statistics->Wait();
    Unpack(flat_statistics_, statistics_);
  }
  Totals totals = numbers_sum.Wait();
  if (loss_sum == LossSum::kLeave) totals.unread_loss_sum = loss_sum_;
  return totals;
}

}  // namespace crescendo::train
