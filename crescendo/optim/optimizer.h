// How gradients become steps.
//
//   std::unique_ptr<Optimizer> optimizer = BuildOptimizer(options.optimizer, parameters);
//   ... backward ...                                             // parameters' .grad: the mean gradient of the update
//   optimizer->Step({setting.learning_rate, setting.momentum});
//   optimizer->ZeroGradients();
//
// An optimizer has no schedule: learning rate and momentum are arguments of every step and may change at any of them
// (`momentum` is beta1 in the Adam family). The learning rate stands outside every momentum buffer, so that a change of
// it, or of the batch, needs no correction of the buffer. The formulas are in the header of each rule: sgd.h,
// rmsprop.h, adam.h, lars.h, lamb.h.
//
// Weight decay, with the factor wd:
//   coupled    g <- g + wd w, before all else: L2 regularisation
//   decoupled  w <- (1 - lr wd) w, before the step (Loshchilov & Hutter 2019); LAMB adds wd w to its direction instead
// With decay_norm_and_bias = false, parameters of at most one dimension (batch norm's and the biases) are spared: no
// decay, and in LARS and LAMB no layer-wise rate either, as is usual (Goyal et al. 2017, sec. 5.3; You et al. 2020).
//
// Assumes that the parameters are on their device and in their memory format already, and stay there. Not thread-safe.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "crescendo/config/options.h"

namespace crescendo::optim {

struct Parameter {
  std::string name;
  at::Tensor value;  // a leaf that requires a gradient; dense in memory, in any memory format
};

struct StepSetting {
  double learning_rate = 0;
  double momentum = 0;
  // A float without dimensions on the parameters' device: where it is 1 the step changes nothing, and the host need not
  // know. Undefined: the step is taken. Only for a rule that CanSkip().
  at::Tensor skip{};
};

struct StateTensor {
  std::string name;
  at::Tensor value;
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  // One step along the parameters' .grad, which is read and left as it is. A parameter whose .grad is undefined takes
  // no step: it does not decay and its state does not change.
  virtual void Step(const StepSetting& setting) = 0;

  // Whether Step heeds StepSetting::skip: the rules that count nothing on the host and consist of one kernel.
  virtual bool CanSkip() const { return false; }

  // Forgets the gradients: .grad becomes undefined. Faster than zeros: the next backward pass hands over its first
  // gradient as it is, where zeros would have to be written and then added to.
  virtual void ZeroGradients() = 0;

  // What MomentumBuffer says where the batch or the momentum changes: factor 0 empties the momentum buffer, any other
  // multiplies it. The Adam family's first moment is a mean and not a sum, with the same steady state at any beta1: it
  // can be emptied, together with its bias correction, but there is nothing to rescale, and other factors leave it.
  virtual void ScaleMomentum(double factor) = 0;

  // All that a step remembers, named "<parameter>.<what>", and the counters. The tensors are the live ones: copy them
  // to save them, copy_ into them to restore.
  virtual std::vector<StateTensor> State() const = 0;
};

// The rule that `options` names, with empty state, on the device and in the memory format of the parameters.
std::unique_ptr<Optimizer> BuildOptimizer(const config::OptimizerOptions& options, std::vector<Parameter> parameters);

}  // namespace crescendo::optim
