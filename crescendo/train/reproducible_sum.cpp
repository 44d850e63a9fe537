#include "crescendo/train/reproducible_sum.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_zero.h>
#include <ATen/ops/empty_like.h>

#include <cmath>

#include "crescendo/base/error.h"

namespace crescendo::train {

ReproducibleSum::ReproducibleSum(nn::Model& model, double norm_momentum) : norm_momentum_(norm_momentum) {
  for (const nn::NamedTensor& parameter : model.parameters()) parameters_.push_back(parameter.value);
  for (const nn::NamedTensor& buffer : model.buffers()) {
    statistics_.push_back(buffer.value);
    before_.push_back(at::empty_like(buffer.value));
  }
}

void ReproducibleSum::Begin(int64_t ghosts) {
  const at::NoGradGuard no_gradients;
  ghosts_ = ghosts;
  tree_.Clear();
  if (!statistics_.empty()) at::_foreach_copy_(before_, statistics_);
}

void ReproducibleSum::BeforeForward(int64_t ghost) {
  const at::NoGradGuard no_gradients;
  ghost_ = ghost;
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
  tree_.Add(ghost_, std::move(values));
}

double ReproducibleSum::Finish() {
  const at::NoGradGuard no_gradients;
  const std::vector<at::Tensor> total = tree_.Total();
  auto next = total.begin();
  for (at::Tensor& parameter : parameters_) parameter.mutable_grad() = *next++;
  if (!statistics_.empty()) {
    const std::vector<at::Tensor> terms(next, next + static_cast<ptrdiff_t>(statistics_.size()));
    at::_foreach_copy_(statistics_, terms);
    if (ghosts_ > 1) {
      const double kept = std::pow(1 - norm_momentum_, static_cast<double>(ghosts_));
      at::_foreach_add_(statistics_, at::_foreach_mul(before_, kept));
    }
  }
  return total.back().item<double>();
}

}  // namespace crescendo::train
