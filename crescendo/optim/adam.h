// Adam (Kingma & Ba, ICLR 2015) and AdamW (Loshchilov & Hutter, ICLR 2019).
//
//   g = gradient, + wd w where decay is coupled (adam)
//   m <- beta1 m + (1 - beta1) g         first moment; beta1 is the setting's momentum
//   v <- beta2 v + (1 - beta2) g^2       second moment
//   m^ = m / (1 - P1),  v^ = v / (1 - beta2^t)
//   w <- w - lr m^ / (sqrt(v^) + epsilon)
//
// and before it w <- (1 - lr wd) w where decay is decoupled (adamw). P1 is the product of the beta1 of all steps so
// far: m is zero at first and its weights on the gradients add up to 1 - P1. At a constant beta1 this is the paper's 1
// - beta1^t; where a plan changes beta1, only the product is right. t and P1 are counted for each parameter.
#pragma once

#include "crescendo/optim/grouped_optimizer.h"

namespace crescendo::optim {

// The moments and their bias corrections, for the rules that build on them.
class AdamFamily : public GroupedOptimizer {
 public:
  AdamFamily(const config::OptimizerOptions& options, std::vector<Parameter> parameters);
  void ScaleMomentum(double factor) final;

 protected:
  // Of parameters that took the same steps; this one is counted.
  struct Age {
    double steps = 0;          // t
    double beta1_product = 1;  // P1
  };

  virtual void StepAge(const Group& group, const Age& age, const StepSetting& setting) = 0;

  std::vector<at::Tensor> first_moments_;
  std::vector<at::Tensor> second_moments_;

 private:
  void StepGroup(const Group& group, const StepSetting& setting) final;

  at::Tensor steps_;           // [parameters]
  at::Tensor beta1_products_;  // [parameters]
};

class Adam final : public AdamFamily {
 public:
  Adam(const config::OptimizerOptions& options, std::vector<Parameter> parameters);

 private:
  void StepAge(const Group& group, const Age& age, const StepSetting& setting) override;

  bool decoupled_;
};

}  // namespace crescendo::optim
