#include "crescendo/config/plan_request.h"

#include <utility>
#include <vector>

#include "crescendo/base/error.h"
#include "crescendo/config/validate.h"

namespace crescendo::config {
namespace {

using schedule::Examples;

std::vector<std::pair<Examples, double>> Resolve(const PositionTable& table, const Scale& scale) {
  std::vector<std::pair<Examples, double>> resolved;
  for (const auto& [position, value] : table) resolved.emplace_back(position.Resolve(scale), value);
  return resolved;
}

schedule::Shape MakeShape(const ReferenceOptions& reference, const Scale& scale) {
  const auto resolve = [&](const Position& position) { return position.Resolve(scale); };
  switch (reference.shape) {
    case Shape::kConstant:
      return schedule::Constant{};
    case Shape::kStep: {
      schedule::Step step{.boundaries = {}, .factor = reference.factor};
      for (const Position& boundary : reference.boundaries) step.boundaries.push_back(resolve(boundary));
      return step;
    }
    case Shape::kCosine:
      return schedule::Cosine{reference.final_learning_rate};
    case Shape::kRestarts:
      return schedule::Restarts{resolve(reference.period), reference.cycle_factor, reference.final_learning_rate};
    case Shape::kExponential:
      return schedule::Exponential{resolve(reference.period), reference.factor};
    case Shape::kPolynomial:
      return schedule::Polynomial{reference.power, reference.final_learning_rate};
    case Shape::kLinear:
      return schedule::Polynomial{1, reference.final_learning_rate};
    case Shape::kOneCycle:
      return schedule::OneCycle{resolve(reference.rise), reference.start_factor, reference.final_factor};
    case Shape::kTrapezoid:
      return schedule::Trapezoid{resolve(reference.decay_begin), reference.final_learning_rate};
    case Shape::kInverseSqrt:
      return schedule::InverseSquareRoot{resolve(reference.decay_begin)};
    case Shape::kTable:
      return schedule::Table{Resolve(reference.table, scale), reference.interpolation == Interpolation::kLinear};
  }
  CRESCENDO_ASSERT(false, "a shape that the schedule does not have");
}

}  // namespace

schedule::PlanRequest MakePlanRequest(const Options& options, int64_t train_examples) {
  ValidatePositions(options, train_examples);
  const ReferenceOptions& reference = options.reference;
  const ScheduleOptions& run = options.schedule;
  const Scale scale = ScaleOf(options, train_examples);

  const schedule::LearningRate learning_rate(reference.learning_rate, MakeShape(reference, scale),
                                             run.length.Resolve(scale),
                                             {reference.warmup.Resolve(scale), reference.warmup_start});
  const schedule::Momentum reference_momentum(reference.momentum, Resolve(reference.momentum_table, scale));
  const bool has_own_momentum = run.momentum || !run.momentum_table.empty();
  const schedule::Momentum momentum = has_own_momentum ? schedule::Momentum(run.momentum.value_or(reference.momentum),
                                                                            Resolve(run.momentum_table, scale))
                                                       : reference_momentum;
  return {
      .train_examples = Examples{train_examples},
      .reference = {learning_rate, reference_momentum, Examples{reference.global_batch}},
      .policy = run.policy,
      .learning_rate = run.learning_rate.value_or(learning_rate.peak()),
      .momentum = momentum,
      .max_batch = Examples{run.max_batch.Resolve(train_examples)},
      .at_cap = run.at_cap,
      .rounding = run.rounding,
      .batch_multiple = run.batch_multiple,
      .growth_factor = run.growth_factor,
      .hysteresis = run.hysteresis,
      .law = {run.rule, run.noise_form},
      .epoch_tail = run.epoch_tail,
      .boundary = run.boundary,
      .momentum_buffer = run.momentum_buffer,
  };
}

}  // namespace crescendo::config
