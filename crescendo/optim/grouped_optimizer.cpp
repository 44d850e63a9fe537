#include "crescendo/optim/grouped_optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_zero.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include <array>
#include <cmath>

#include "crescendo/base/error.h"

namespace crescendo::optim {

GroupedOptimizer::GroupedOptimizer(const config::OptimizerOptions& options, std::vector<Parameter> parameters)
    : options_(options) {
  for (Parameter& parameter : parameters) {
    const at::Tensor& value = parameter.value;
    CRESCENDO_ASSERT(value.is_floating_point() && value.is_non_overlapping_and_dense(), parameter.name);
    const bool is_norm_or_bias = value.dim() <= 1;
    at::Tensor weight = value.detach();
    slots_.push_back({std::move(parameter), std::move(weight), is_norm_or_bias && !options_.decay_norm_and_bias});
  }
}

void GroupedOptimizer::Step(const StepSetting& setting) {
  CRESCENDO_ASSERT(std::isfinite(setting.learning_rate) && setting.momentum >= 0 && setting.momentum < 1,
                   fmt::format("learning rate {}, momentum {}", setting.learning_rate, setting.momentum));
  CRESCENDO_ASSERT(!setting.skip.defined() || CanSkip(), "only some rules can leave out a step");
  const at::NoGradGuard no_gradients;
  std::array<Group, 2> groups;
  groups[1].spared = true;
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    if (!slot.parameter.value.grad().defined()) continue;
    CRESCENDO_ASSERT(slot.parameter.value.const_data_ptr() == slot.weight.const_data_ptr(),
                     slot.parameter.name + " was moved after the optimizer was built");
    Group& group = groups[slot.spared ? 1 : 0];
    group.members.push_back(i);
    group.weights.push_back(slot.weight);
    group.gradients.push_back(GradientOf(slot));
  }
  for (const Group& group : groups) {
    if (!group.members.empty()) StepGroup(group, setting);
  }
}

void GroupedOptimizer::ZeroGradients() {
  for (Slot& slot : slots_) slot.parameter.value.mutable_grad() = at::Tensor();
}

at::Tensor GroupedOptimizer::GradientOf(const Slot& slot) {
  const at::Tensor& gradient = slot.parameter.value.grad();
  if (gradient.strides() == slot.weight.strides()) return gradient;
  return at::empty_like(slot.weight).copy_(gradient);
}

std::vector<at::Tensor> GroupedOptimizer::AddStateLikeParameters(const std::string& what) {
  std::vector<at::Tensor> tensors;
  for (const Slot& slot : slots_) {
    tensors.push_back(at::zeros_like(slot.weight));
    state_.push_back({slot.parameter.name + "." + what, tensors.back()});
  }
  return tensors;
}

at::Tensor GroupedOptimizer::AddCounters(const std::string& name, double initial) {
  state_.push_back({name, at::full({static_cast<int64_t>(slots_.size())}, initial, at::TensorOptions(at::kDouble))});
  return state_.back().value;
}

double GroupedOptimizer::DecayUnlessCoupled(const Group& group, double learning_rate) const {
  const double weight_decay = WeightDecayOf(group);
  if (!DecaysApart() || weight_decay == 0) return weight_decay;
  at::_foreach_mul_(group.weights, 1 - learning_rate * weight_decay);
  return 0;
}

std::vector<at::Tensor> GroupedOptimizer::Select(const std::vector<at::Tensor>& per_parameter,
                                                 const std::vector<size_t>& members) {
  std::vector<at::Tensor> selected;
  selected.reserve(members.size());
  for (const size_t member : members) selected.push_back(per_parameter[member]);
  return selected;
}

void GroupedOptimizer::Scale(const std::vector<at::Tensor>& buffers, double factor) {
  CRESCENDO_ASSERT(std::isfinite(factor) && factor >= 0, fmt::format("factor {}", factor));
  if (factor == 0) {
    at::_foreach_zero_(buffers);
  } else {
    at::_foreach_mul_(buffers, factor);
  }
}

}  // namespace crescendo::optim
