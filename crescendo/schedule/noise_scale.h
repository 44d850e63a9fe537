// The scale of SGD's random fluctuations, which is what a learning-rate schedule anneals.
//
//   g = eps (N/B - 1) / (1 - m)      exact          (Smith et al., ICLR 2018, section 2 and appendix A; Smith & Le
//   2018) g ~ eps N / (B (1 - m))          small batch    (the same for B << N: the form the paper works with)
//
// eps: learning rate, which multiplies the mean gradient; N: training examples; B: global batch; m: momentum
// coefficient.
//
// For Adam the stochastic-differential-equation limit keeps eps sqrt(N/B) instead (Malladi et al., NeurIPS 2022, "On
// the SDEs and Scaling Rules for Adaptive Gradient Algorithms"): the rules `sqrt` and `seesaw` use that, with the same
// two forms under the root.
#pragma once

#include <string>

#include "crescendo/schedule/corner_cases.h"
#include "crescendo/schedule/units.h"

namespace crescendo::schedule {

// Which quantity is held equal: g(eps, N, B, m) under a rule and in a form.
struct NoiseLaw {
  ScalingRule rule = ScalingRule::kLinear;
  NoiseForm form = NoiseForm::kSmallBatch;
};

// The formula of g as people write it: "lr (N/B) / (1-m)".
std::string FormulaText(NoiseLaw law);

// g. 0 for B = N in the exact form. REQUIRES 0 < B <= N, m < 1.
double NoiseScale(NoiseLaw law, double learning_rate, Examples train_examples, Examples global_batch, double momentum);

// The learning rate at which this batch has noise `noise_scale`: the inverse of NoiseScale in its first argument.
// REQUIRES B < N in the exact form.
double LearningRateForNoise(NoiseLaw law, double noise_scale, Examples train_examples, Examples global_batch,
                            double momentum);

// The batch, as a real number, at which this learning rate has noise `noise_scale`; infinite for noise 0 in the
// small-batch form.
double BatchForNoise(NoiseLaw law, double noise_scale, double learning_rate, Examples train_examples, double momentum);

// Epochs lost while the momentum buffer fills after a change of the noise scale: B / (N (1 - m)). Section 4 of the
// paper, where the buffer reaches its steady state as 1 - exp(-(1-m) s) in s updates.
double LostEpochs(Examples global_batch, Examples train_examples, double momentum);

}  // namespace crescendo::schedule
