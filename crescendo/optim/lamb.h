// LAMB (You et al., "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes", ICLR 2020, algorithm 2).
//
//   m, v, m^, v^ as in adam.h, on the gradient without decay
//   r = m^ / (sqrt(v^) + epsilon)
//   w <- w - lr (phi(|w|) / |r + wd w|) (r + wd w)
//
// with phi the identity, as in the authors' own code, and norms over one parameter. The ratio is 1 where either norm is
// 0. Spared parameters (optimizer.h) take the step of Adam: ratio 1, wd = 0.
#pragma once

#include "crescendo/optim/adam.h"

namespace crescendo::optim {

class Lamb final : public AdamFamily {
 public:
  using AdamFamily::AdamFamily;

 private:
  void StepAge(const Group& group, const Age& age, const StepSetting& setting) override;
};

}  // namespace crescendo::optim
