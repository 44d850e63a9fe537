// What the rules share: which parameters take a step, which of them decay, how their memory is walked, and their state.
//
// The fused kernels of LibTorch walk raw memory and check no strides on the CPU, so that a channels-last weight with a
// gradient in another format would be stepped silently along the wrong numbers. A gradient whose strides differ from
// its parameter's is copied into the parameter's format first.
//
// A rule implements StepGroup for a group of parameters that are treated alike; one call of a fused or foreach kernel
// then serves the whole group.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "crescendo/optim/optimizer.h"

namespace crescendo::optim {

class GroupedOptimizer : public Optimizer {
 public:
  GroupedOptimizer(const config::OptimizerOptions& options, std::vector<Parameter> parameters);

  void Step(const StepSetting& setting) final;
  void ZeroGradients() final;
  std::vector<StateTensor> State() const final { return state_; }

 protected:
  // Parameters with a gradient that are all spared (from decay and layer-wise rates), or all not.
  struct Group {
    bool spared = false;
    std::vector<size_t> members;        // which parameters
    std::vector<at::Tensor> weights;    // theirs, outside autograd
    std::vector<at::Tensor> gradients;  // in the memory format of the weights; not to be written
  };

  virtual void StepGroup(const Group& group, const StepSetting& setting) = 0;

  // A tensor of zeros like each parameter, part of State() as "<parameter>.<what>".
  std::vector<at::Tensor> AddStateLikeParameters(const std::string& what);

  // One number per parameter, in their order, part of State() as `name`; a double tensor [parameters] on the CPU.
  at::Tensor AddCounters(const std::string& name, double initial);

  // The weight-decay factor of the group: 0 where it is spared.
  double WeightDecayOf(const Group& group) const { return group.spared ? 0 : options_.weight_decay; }

  // Whether decay is a step of its own: decoupled, and not 0.
  bool DecaysApart() const { return options_.decay == config::WeightDecay::kDecoupled && options_.weight_decay != 0; }

  // Decays the group now if decay is decoupled; returns the factor that is left to be coupled to the gradient.
  double DecayUnlessCoupled(const Group& group, double learning_rate) const;

  static std::vector<at::Tensor> Select(const std::vector<at::Tensor>& per_parameter,
                                        const std::vector<size_t>& members);
  static void Scale(const std::vector<at::Tensor>& buffers, double factor);  // by 0: to zero, whatever is in them

  const config::OptimizerOptions options_;

 private:
  struct Slot {
    Parameter parameter;
    at::Tensor weight;  // its value, outside autograd
    bool spared = false;
  };

  static at::Tensor GradientOf(const Slot& slot);

  std::vector<Slot> slots_;
  std::vector<StateTensor> state_;
};

}  // namespace crescendo::optim
