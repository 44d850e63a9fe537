// LARS (You, Gitman, Ginsburg, "Large Batch Training of Convolutional Networks", 2017): momentum with a rate per layer.
//
//   lambda = eta |w| / (|g| + wd |w|)      eta: trust_coefficient; norms over one parameter
//   A <- m A + lambda (g + wd w)
//   w <- w - lr A
//
// The paper's algorithm 1 has lr inside the buffer (v <- m v + lr lambda (g + wd w); w <- w - v). Here it is outside,
// as in sgd.h: equal while lr is constant, and a new lr then applies to the whole buffer at once. lambda is 1 where the
// formula has no use: |w| = 0, or g and the decay both 0. Spared parameters (optimizer.h) take the step of momentum:
// lambda = 1, wd = 0.
#pragma once

#include "crescendo/optim/grouped_optimizer.h"

namespace crescendo::optim {

class Lars final : public GroupedOptimizer {
 public:
  Lars(const config::OptimizerOptions& options, std::vector<Parameter> parameters);
  void ScaleMomentum(double factor) override { Scale(buffers_, factor); }

 private:
  void StepGroup(const Group& group, const StepSetting& setting) override;

  std::vector<at::Tensor> buffers_;  // A
};

}  // namespace crescendo::optim
