#include "crescendo/optim/lamb.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sqrt.h>

#include <cmath>

#include "crescendo/optim/trust_ratio.h"

namespace crescendo::optim {

void Lamb::StepAge(const Group& group, const Age& age, const StepSetting& setting) {
  const double beta1 = setting.momentum;
  const double beta2 = options_.beta2;
  const std::vector<at::Tensor> first_moments = Select(first_moments_, group.members);
  const std::vector<at::Tensor> second_moments = Select(second_moments_, group.members);
  at::_foreach_mul_(first_moments, beta1);
  at::_foreach_add_(first_moments, group.gradients, 1 - beta1);
  at::_foreach_mul_(second_moments, beta2);
  at::_foreach_addcmul_(second_moments, group.gradients, group.gradients, 1 - beta2);

  const std::vector<at::Tensor> roots = at::_foreach_sqrt(second_moments);
  at::_foreach_div_(roots, std::sqrt(1 - std::pow(beta2, age.steps)));
  at::_foreach_add_(roots, options_.epsilon);
  const std::vector<at::Tensor> directions = at::_foreach_div(first_moments, 1 - age.beta1_product);
  at::_foreach_div_(directions, roots);

  if (!group.spared) {
    at::_foreach_add_(directions, group.weights, WeightDecayOf(group));
    at::_foreach_mul_(directions, TrustRatios(1, Norms(group.weights), Norms(directions)));
  }
  at::_foreach_add_(group.weights, directions, -setting.learning_rate);
}

}  // namespace crescendo::optim
