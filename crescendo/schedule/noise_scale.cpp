#include "crescendo/schedule/noise_scale.h"

#include <fmt/format.h>

#include <cmath>

namespace crescendo::schedule {
namespace {

// What multiplies eps / (1 - m): N/B or N/B - 1, or its root for the Adam rules.
double BatchFactor(NoiseLaw law, Examples train_examples, Examples global_batch) {
  double factor = static_cast<double>(train_examples.value()) / static_cast<double>(global_batch.value());
  if (law.form == NoiseForm::kExact) factor -= 1;
  return law.rule == ScalingRule::kLinear ? factor : std::sqrt(factor);
}

}  // namespace

std::string FormulaText(NoiseLaw law) {
  return fmt::format("lr {}({}) / (1-m)", law.rule == ScalingRule::kLinear ? "" : "sqrt",
                     law.form == NoiseForm::kExact ? "N/B - 1" : "N/B");
}

double NoiseScale(NoiseLaw law, double learning_rate, Examples train_examples, Examples global_batch, double momentum) {
  return learning_rate * BatchFactor(law, train_examples, global_batch) / (1 - momentum);
}

double LearningRateForNoise(NoiseLaw law, double noise_scale, Examples train_examples, Examples global_batch,
                            double momentum) {
  return noise_scale * (1 - momentum) / BatchFactor(law, train_examples, global_batch);
}

double BatchForNoise(NoiseLaw law, double noise_scale, double learning_rate, Examples train_examples, double momentum) {
  double factor = noise_scale == 0 ? 0 : noise_scale * (1 - momentum) / learning_rate;
  if (law.rule != ScalingRule::kLinear) factor *= factor;
  if (law.form == NoiseForm::kExact) factor += 1;
  return static_cast<double>(train_examples.value()) / factor;
}

double LostEpochs(Examples global_batch, Examples train_examples, double momentum) {
  return static_cast<double>(global_batch.value()) / (static_cast<double>(train_examples.value()) * (1 - momentum));
}

}  // namespace crescendo::schedule
