// Stochastic gradient descent, plain and with momentum.
//
//   g = gradient of the mean loss over the batch, + wd w where decay is coupled
//   sgd        w <- w - lr g
//   momentum   A <- m A + g;  w <- w - lr A          Smith, Kindermans, Ying, Le (ICLR 2018), sec. 4 and appendix A
//   nesterov   A <- m A + g;  w <- w - lr (g + m A)  Sutskever, Martens, Dahl, Hinton (ICML 2013), in PyTorch's form
//
// A is zero at first. It is a sum of gradients that knows no learning rate, in its steady state g / (1 - m); so a new
// learning rate applies at once to all of it. This is PyTorch's SGD with dampening 0, but for one case: where the
// momentum rises from 0, PyTorch starts from an empty buffer and here, as the formula says, A is the last gradient.
#pragma once

#include "crescendo/optim/grouped_optimizer.h"

namespace crescendo::optim {

class Sgd final : public GroupedOptimizer {
 public:
  using GroupedOptimizer::GroupedOptimizer;
  bool CanSkip() const override { return !DecaysApart(); }
  void ScaleMomentum(double /*factor*/) override {}  // there is none

 private:
  void StepGroup(const Group& group, const StepSetting& setting) override;
};

class Momentum final : public GroupedOptimizer {
 public:
  Momentum(const config::OptimizerOptions& options, std::vector<Parameter> parameters);
  bool CanSkip() const override { return !DecaysApart(); }
  void ScaleMomentum(double factor) override { Scale(buffers_, factor); }

 private:
  void StepGroup(const Group& group, const StepSetting& setting) override;

  std::vector<at::Tensor> buffers_;  // A
};

// The step of momentum, or of nesterov; the three of a parameter are in one memory format.
void MomentumStep(at::TensorList weights, at::TensorList gradients, at::TensorList buffers, double coupled_decay,
                  const StepSetting& setting, bool nesterov);

}  // namespace crescendo::optim
