#include "crescendo/optim/adam.h"

#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "crescendo/base/error.h"

namespace crescendo::optim {

AdamFamily::AdamFamily(const config::OptimizerOptions& options, std::vector<Parameter> parameters)
    : GroupedOptimizer(options, std::move(parameters)),
      first_moments_(AddStateLikeParameters("first_moment")),
      second_moments_(AddStateLikeParameters("second_moment")),
      steps_(AddCounters("steps", 0)),
      beta1_products_(AddCounters("beta1_product", 1)) {}

void AdamFamily::ScaleMomentum(double factor) {
  CRESCENDO_ASSERT(std::isfinite(factor) && factor >= 0, fmt::format("factor {}", factor));
  if (factor != 0) return;
  Scale(first_moments_, 0);
  beta1_products_.fill_(1);
}

// All parameters have the same age, unless some had no gradient at some step.
void AdamFamily::StepGroup(const Group& group, const StepSetting& setting) {
  auto* steps = steps_.mutable_data_ptr<double>();
  auto* products = beta1_products_.mutable_data_ptr<double>();
  std::map<std::pair<double, double>, Group> by_age;
  for (size_t k = 0; k < group.members.size(); ++k) {
    const size_t member = group.members[k];
    steps[member] += 1;
    products[member] *= setting.momentum;
    Group& part = by_age[{steps[member], products[member]}];
    part.spared = group.spared;
    part.members.push_back(member);
    part.weights.push_back(group.weights[k]);
    part.gradients.push_back(group.gradients[k]);
  }
  for (const auto& [age, part] : by_age) StepAge(part, {age.first, age.second}, setting);
}

Adam::Adam(const config::OptimizerOptions& options, std::vector<Parameter> parameters)
    : AdamFamily(options, std::move(parameters)),
      decoupled_(options.name == config::OptimizerName::kAdamW || options.decay == config::WeightDecay::kDecoupled) {}

void Adam::StepAge(const Group& group, const Age& age, const StepSetting& setting) {
  // The kernels divide the learning rate by 1 - beta1^t with this step's beta1. The factor replaces that by 1 - P1; it
  // is 1 where beta1 never changed. AdamW's kernel multiplies the decay by the learning rate, which must not see the
  // factor.
  const double factor = (1 - std::pow(setting.momentum, age.steps)) / (1 - age.beta1_product);
  const double learning_rate = setting.learning_rate * factor;
  const double weight_decay = decoupled_ ? WeightDecayOf(group) / factor : WeightDecayOf(group);
  const std::vector<at::Tensor> steps(group.members.size(),
                                      at::full({}, age.steps, group.weights.front().options().dtype(at::kFloat)));
  const auto step = [&](auto kernel) {
    kernel(group.weights, group.gradients, Select(first_moments_, group.members),
           Select(second_moments_, group.members), /*max_exp_avg_sqs=*/at::TensorList(), steps, learning_rate,
           setting.momentum, options_.beta2, weight_decay, options_.epsilon, /*amsgrad=*/false, /*maximize=*/false);
  };
  if (decoupled_) {
    step([](auto&&... arguments) { at::_fused_adamw_(arguments...); });
  } else {
    step([](auto&&... arguments) { at::_fused_adam_(arguments...); });
  }
}

}  // namespace crescendo::optim
