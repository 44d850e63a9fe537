// RMSprop (Tieleman & Hinton, "Lecture 6.5", 2012), with momentum as in PyTorch: not centred, epsilon outside the root.
//
//   g = gradient, + wd w where decay is coupled
//   v <- smoothing v + (1 - smoothing) g^2
//   A <- m A + g / (sqrt(v) + epsilon)
//   w <- w - lr A
//
// v and A are zero at first and there is no bias correction: the first steps are up to 1/sqrt(1 - smoothing) times as
// long as later ones.
#pragma once

#include "crescendo/optim/grouped_optimizer.h"

namespace crescendo::optim {

class Rmsprop final : public GroupedOptimizer {
 public:
  Rmsprop(const config::OptimizerOptions& options, std::vector<Parameter> parameters);
  void ScaleMomentum(double factor) override { Scale(buffers_, factor); }

 private:
  void StepGroup(const Group& group, const StepSetting& setting) override;

  std::vector<at::Tensor> mean_squares_;  // v
  std::vector<at::Tensor> buffers_;       // A
};

}  // namespace crescendo::optim
