#include "crescendo/train/reproducible_sum.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_zero.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <cmath>

#include "crescendo/base/error.h"
#include "crescendo/train/model_tensors.h"

namespace crescendo::train {

ReproducibleSum::ReproducibleSum(distributed::Group& group, nn::Model& model, double norm_momentum)
    : group_(group), parameters_(ValuesOf(model.parameters())), norm_momentum_(norm_momentum) {
  for (const nn::NamedTensor& buffer : model.buffers()) {
    statistics_.push_back(buffer.value);
    before_.push_back(at::empty_like(buffer.value));
  }
}

void ReproducibleSum::Begin(const schedule::RankShare& share) {
  const at::NoGradGuard no_gradients;
  ghosts_ = share.ghosts_before + static_cast<int64_t>(share.ghosts.size()) + share.ghosts_after;
  ghost_ = share.ghosts_before;
  tree_.Clear();
  if (!statistics_.empty()) at::_foreach_copy_(before_, statistics_);
}

void ReproducibleSum::BeforeForward(bool /*last_of_share*/) {
  const at::NoGradGuard no_gradients;
  if (ghosts_ > 1 && !statistics_.empty()) at::_foreach_zero_(statistics_);
}

void ReproducibleSum::AfterBackward(const at::Tensor& loss) {
  const at::NoGradGuard no_gradients;
  std::vector<at::Tensor> values;
  values.reserve(parameters_.size() + statistics_.size() + 1);
  for (at::Tensor& parameter : parameters_) {
    CRESCENDO_ASSERT(parameter.grad().defined(), "every parameter takes part in every loss");
    values.push_back(std::exchange(parameter.mutable_grad(), at::Tensor()));
  }
  const double weight = std::pow(1 - norm_momentum_, static_cast<double>(ghosts_ - 1 - ghost_));
  for (const at::Tensor& statistic : statistics_) values.push_back(statistic.mul(weight));
  values.push_back(loss.detach().to(at::kDouble));
  tree_.Add(ghost_++, std::move(values));
}

Totals ReproducibleSum::Finish(const WorkerNumbers& numbers, LossSum loss_sum) {
  CRESCENDO_ASSERT(loss_sum == LossSum::kRead, "a sum over workers is known to all of them");
  const at::NoGradGuard no_gradients;
  Totals totals = NumbersSum(group_, numbers).Wait();
  if (totals.stop_signal != 0) return totals;  // some ghosts are missing, and nobody needs the sum

  const std::vector<at::Tensor> sum = group_.size() == 1 ? tree_.Total() : Gather().Total();
  auto next = sum.begin();
  for (at::Tensor& parameter : parameters_) parameter.mutable_grad() = *next++;
  if (!statistics_.empty()) {
    const std::vector<at::Tensor> terms(next, next + static_cast<ptrdiff_t>(statistics_.size()));
    at::_foreach_copy_(statistics_, terms);
    if (ghosts_ > 1) {
      const double kept = std::pow(1 - norm_momentum_, static_cast<double>(ghosts_));
      at::_foreach_add_(statistics_, at::_foreach_mul(before_, kept));
    }
  }
  totals.loss_sum = sum.back().item<double>();
  return totals;
}

// All workers' nodes, in the order of their ghosts. One at a time: every worker gives zeros for what is not its own,
// and a number plus zeros is that number.
TreeSum ReproducibleSum::Gather() const {
  TreeSum all;
  std::vector<at::Tensor> like = parameters_;
  like.insert(like.end(), statistics_.begin(), statistics_.end());
  int64_t size = 0;
  for (const at::Tensor& tensor : like) size += tensor.numel();
  const at::Tensor flat = at::empty({size}, like.front().detach().options());
  const at::Tensor loss = at::empty({}, flat.options().dtype(at::kDouble));

  for (int64_t rank = 0; rank < group_.size(); ++rank) {
    const int64_t first = schedule::GhostsBeforeRank(ghosts_, rank, group_.size());
    const int64_t end = schedule::GhostsBeforeRank(ghosts_, rank + 1, group_.size());
    size_t own = 0;
    for (const TreeSum::Range& range : TreeSum::NodesOf(first, end)) {
      flat.zero_();
      loss.zero_();
      if (rank == group_.rank()) {
        const TreeSum::Node& node = tree_.nodes().at(own++);
        CRESCENDO_ASSERT(node.range.begin == range.begin && node.range.count == range.count,
                         "a node is where it is looked for");
        Pack({node.values.begin(), node.values.end() - 1}, flat);
        loss.copy_(node.values.back());
      }
      const auto loss_sum = group_.BeginSum(loss);
      group_.Sum(flat);
      loss_sum->Wait();
      std::vector<at::Tensor> values;
      for (const at::Tensor& tensor : like) values.push_back(at::empty_like(tensor));
      Unpack(flat, values);
      values.push_back(loss.clone());
      all.Append({range, std::move(values)});
    }
  }
  return all;
}

}  // namespace crescendo::train
