#include "crescendo/optim/rmsprop.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sqrt.h>

namespace crescendo::optim {

Rmsprop::Rmsprop(const config::OptimizerOptions& options, std::vector<Parameter> parameters)
    : GroupedOptimizer(options, std::move(parameters)),
      mean_squares_(AddStateLikeParameters("mean_square")),
      buffers_(AddStateLikeParameters("momentum")) {}

void Rmsprop::StepGroup(const Group& group, const StepSetting& setting) {
  const std::vector<at::Tensor> mean_squares = Select(mean_squares_, group.members);
  const std::vector<at::Tensor> buffers = Select(buffers_, group.members);
  const double coupled_decay = DecayUnlessCoupled(group, setting.learning_rate);
  const std::vector<at::Tensor> gradients =
      coupled_decay == 0 ? group.gradients : at::_foreach_add(group.gradients, group.weights, coupled_decay);

  at::_foreach_mul_(mean_squares, options_.smoothing);
  at::_foreach_addcmul_(mean_squares, gradients, gradients, 1 - options_.smoothing);
  const std::vector<at::Tensor> roots = at::_foreach_sqrt(mean_squares);
  at::_foreach_add_(roots, options_.epsilon);
  at::_foreach_mul_(buffers, setting.momentum);
  at::_foreach_addcdiv_(buffers, gradients, roots);
  at::_foreach_add_(group.weights, buffers, -setting.learning_rate);
}

}  // namespace crescendo::optim
