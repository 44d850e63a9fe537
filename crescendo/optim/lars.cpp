#include "crescendo/optim/lars.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_mul.h>

#include "crescendo/optim/sgd.h"
#include "crescendo/optim/trust_ratio.h"

namespace crescendo::optim {

Lars::Lars(const config::OptimizerOptions& options, std::vector<Parameter> parameters)
    : GroupedOptimizer(options, std::move(parameters)), buffers_(AddStateLikeParameters("momentum")) {}

void Lars::StepGroup(const Group& group, const StepSetting& setting) {
  const std::vector<at::Tensor> buffers = Select(buffers_, group.members);
  if (group.spared) {
    MomentumStep(group.weights, group.gradients, buffers, /*coupled_decay=*/0, setting, /*nesterov=*/false);
    return;
  }
  const double weight_decay = WeightDecayOf(group);
  const at::Tensor weight_norms = Norms(group.weights);
  const std::vector<at::Tensor> layer_rates =
      TrustRatios(options_.trust_coefficient, weight_norms, Norms(group.gradients) + weight_norms * weight_decay);
  const std::vector<at::Tensor> directions = at::_foreach_add(group.gradients, group.weights, weight_decay);
  at::_foreach_mul_(directions, layer_rates);
  MomentumStep(group.weights, directions, buffers, /*coupled_decay=*/0, setting, /*nesterov=*/false);
}

}  // namespace crescendo::optim
