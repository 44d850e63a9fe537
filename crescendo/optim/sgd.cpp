#include "crescendo/optim/sgd.h"

#include <ATen/ops/_fused_sgd.h>
#include <fmt/format.h>

#include <optional>

#include "crescendo/base/error.h"

namespace crescendo::optim {
namespace {

std::optional<at::Tensor> SkipOf(const StepSetting& setting) {
  return setting.skip.defined() ? std::optional(setting.skip) : std::nullopt;
}

}  // namespace

void Sgd::StepGroup(const Group& group, const StepSetting& setting) {
  CRESCENDO_ASSERT(setting.momentum == 0, fmt::format("plain SGD was given momentum {}", setting.momentum));
  const double coupled_decay = DecayUnlessCoupled(group, setting.learning_rate);
  at::_fused_sgd_(group.weights, group.gradients, /*momentum_buffer_list=*/{}, coupled_decay, /*momentum=*/0,
                  setting.learning_rate, /*dampening=*/0, /*nesterov=*/false, /*maximize=*/false,
                  /*is_first_step=*/false, /*grad_scale=*/{}, SkipOf(setting));
}

Momentum::Momentum(const config::OptimizerOptions& options, std::vector<Parameter> parameters)
    : GroupedOptimizer(options, std::move(parameters)), buffers_(AddStateLikeParameters("momentum")) {}

void Momentum::StepGroup(const Group& group, const StepSetting& setting) {
  const double coupled_decay = DecayUnlessCoupled(group, setting.learning_rate);
  MomentumStep(group.weights, group.gradients, Select(buffers_, group.members), coupled_decay, setting,
               options_.name == config::OptimizerName::kNesterov);
}

void MomentumStep(at::TensorList weights, at::TensorList gradients, at::TensorList buffers, double coupled_decay,
                  const StepSetting& setting, bool nesterov) {
  // The kernel does not touch the buffer at momentum 0, which would leave an old one for the time when momentum is
  // back. A first step at any momentum does what the formula says at 0: A <- g, and w <- w - lr A.
  const bool no_momentum = setting.momentum == 0;
  at::_fused_sgd_(weights, gradients, buffers, coupled_decay, no_momentum ? 1 : setting.momentum, setting.learning_rate,
                  /*dampening=*/0, nesterov && !no_momentum, /*maximize=*/false, /*is_first_step=*/no_momentum,
                  /*grad_scale=*/{}, SkipOf(setting));
}

}  // namespace crescendo::optim
