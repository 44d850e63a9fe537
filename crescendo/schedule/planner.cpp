#include "crescendo/schedule/planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "crescendo/base/error.h"

namespace crescendo::schedule {
namespace {

double Value(Examples examples) { return static_cast<double>(examples.value()); }

// This run's learning rate if its batch could be any number: held, or under Seesaw lowered by the root of the
// reference's cut.
double IntendedRate(const PlanRequest& request, Examples position) {
  if (request.law.rule != ScalingRule::kSeesaw || request.policy == Policy::kDecay) return request.learning_rate;
  const LearningRate& rate = request.reference.learning_rate;
  return request.learning_rate * std::sqrt(rate.AnnealedAt(position) / rate.peak());
}

// The reference's noise with the rise of its learning rate taken out: what the batch follows.
double AnnealedNoise(const PlanRequest& request, Examples position) {
  const Reference& reference = request.reference;
  return NoiseScale(request.law, reference.learning_rate.AnnealedAt(position), request.train_examples,
                    reference.global_batch, reference.momentum.At(position));
}

// Nearest allowed batch to a real number, before the limits.
double RoundBatch(const PlanRequest& request, double batch) {
  switch (request.rounding) {
    case Rounding::kNearest:
      return std::round(batch);
    case Rounding::kMultiple: {
      const auto multiple = static_cast<double>(request.batch_multiple);
      return std::max(1.0, std::round(batch / multiple)) * multiple;
    }
    case Rounding::kPower: {
      const double first = std::round(IdealBatch(request, Examples{0}));
      const double power = std::round(std::log(batch / first) / std::log(request.growth_factor));
      return std::round(first * std::pow(request.growth_factor, power));
    }
  }
  return batch;
}

// The batch for an update at `position`, given the batch before it (none at the start), which hysteresis holds on to.
Examples ChooseBatch(const PlanRequest& request, Examples largest, Examples position, Examples before) {
  if (request.policy == Policy::kDecay && before > Examples{0}) return before;
  const double ideal = std::clamp(IdealBatch(request, position), 1.0, Value(largest));
  const double rounded = std::clamp(RoundBatch(request, ideal), 1.0, Value(largest));
  const Examples candidate{static_cast<int64_t>(rounded)};
  if (before == Examples{0} || candidate == before || candidate == largest) return candidate;
  const double change = Value(std::max(candidate, before)) / Value(std::min(candidate, before));
  return change >= 1 + request.hysteresis ? candidate : before;
}

// How many of the updates of `grid`, at most `most`, come before one that would choose another batch. Inside a piece of
// the reference the choice changes once and does not come back, so doubling and bisection find the place.
int64_t CountUntilBatchChanges(const PlanRequest& request, Examples largest, const UpdateGrid& grid, int64_t most) {
  const auto changes = [&](int64_t k) {
    return ChooseBatch(request, largest, grid.Begin(k), grid.global_batch()) != grid.global_batch();
  };
  if (request.policy == Policy::kDecay) return most;
  int64_t same = 0;
  int64_t step = 1;
  while (same + step < most && !changes(same + step)) {
    same += step;
    step *= 2;
  }
  int64_t other = std::min(same + step, most);
  if (other == most && (most == same + 1 || !changes(most - 1))) return most;
  other = std::min(other, most - 1);
  while (other - same > 1) {
    const int64_t middle = same + (other - same) / 2;
    (changes(middle) ? other : same) = middle;
  }
  return other;
}

Phase DescribePhase(const PlanRequest& request, Examples largest, const UpdateGrid& grid, int64_t updates,
                    Updates begin_update, Examples end) {
  const Examples first = grid.Begin(0);
  const Examples last = grid.Begin(updates - 1);
  const Examples batch = grid.global_batch();
  const LearningRate& reference_rate = request.reference.learning_rate;
  Phase phase{};
  phase.begin_example = first;
  phase.end_example = end;
  phase.begin_update = begin_update;
  phase.updates = Updates{updates};
  phase.global_batch = batch;
  phase.momentum = request.momentum.At(first);
  phase.learning_rate = LearningRateOf(request, first, batch);
  phase.learning_rate_end = LearningRateOf(request, last, batch);
  phase.reference_learning_rate = reference_rate.At(first);
  phase.reference_learning_rate_end = reference_rate.At(last);
  phase.reference_momentum = request.reference.momentum.At(first);
  const auto noise = [&](NoiseLaw law, double rate) {
    return NoiseScale(law, rate, request.train_examples, batch, phase.momentum);
  };
  phase.noise_scale = noise(request.law, phase.learning_rate);
  phase.noise_scale_end = noise(request.law, phase.learning_rate_end);
  const NoiseLaw small_batch{request.law.rule, NoiseForm::kSmallBatch};
  const NoiseLaw exact{request.law.rule, NoiseForm::kExact};
  phase.noise_scale_small_batch = noise(small_batch, phase.learning_rate);
  phase.noise_scale_small_batch_end = noise(small_batch, phase.learning_rate_end);
  phase.noise_scale_exact = noise(exact, phase.learning_rate);
  phase.noise_scale_exact_end = noise(exact, phase.learning_rate_end);
  phase.reference_noise_scale = ReferenceNoiseScale(request, first);
  phase.reference_noise_scale_end = ReferenceNoiseScale(request, last);
  phase.at_cap = batch == largest && request.policy == Policy::kGrow &&
                 std::max(IdealBatch(request, first), IdealBatch(request, last)) > Value(largest) + 0.5;
  phase.lost_epochs = LostEpochs(batch, request.train_examples, phase.momentum);
  return phase;
}

std::vector<Phase> MakePhases(const PlanRequest& request) {
  const Examples largest = LargestAllowedBatch(request);
  const Examples total = request.total_examples();
  std::vector<Phase> phases;
  Examples position{0};
  Updates update{0};
  Examples batch{0};
  while (position < total) {
    const Examples piece_end =
        std::min({request.reference.learning_rate.PieceEnd(position), request.reference.momentum.NextChange(position),
                  request.momentum.NextChange(position), total});
    batch = ChooseBatch(request, largest, position, batch);
    UpdateGrid grid(position, batch, request.train_examples, request.epoch_tail);
    if (grid.Begin(0) >= piece_end) {  // nothing but examples that are left out of their epoch
      position = std::min(grid.Begin(0), piece_end);
      continue;
    }
    if (grid.Begin(0) > position) {
      position = grid.Begin(0);
      continue;
    }
    const int64_t in_piece = grid.CountBeginningBefore(piece_end);
    const int64_t updates = CountUntilBatchChanges(request, largest, grid, in_piece);
    const bool cut = request.boundary == Boundary::kCut && updates == in_piece;
    const Examples end = std::min(grid.Begin(updates), cut ? piece_end : total);
    phases.push_back(DescribePhase(request, largest, grid, updates, update, end));
    if (request.at_cap == AtCap::kError && phases.back().at_cap) {
      throw UserError(fmt::format(
          "the schedule wants a batch of {:.0f} at example {}, above the largest allowed, {} (schedule.max_batch), and "
          "schedule.at_cap = error refuses that; raise max_batch or let the learning rate take the rest with at_cap = "
          "hybrid",
          std::max(IdealBatch(request, position), IdealBatch(request, grid.Begin(updates - 1))), position.value(),
          largest.value()));
    }
    update += Updates{updates};
    position = end;
  }
  if (phases.empty()) {
    throw UserError(fmt::format("a training of {} examples holds no update (schedule.length, schedule.epoch_tail = {})",
                                total.value(), NameOf(request.epoch_tail)));
  }
  return phases;
}

// The reference as a run of its own: the batch stays, the learning rate falls.
PlanRequest ReferenceRun(const PlanRequest& request) {
  PlanRequest run = request;
  run.policy = Policy::kDecay;
  run.rounding = Rounding::kNearest;
  run.at_cap = AtCap::kHybrid;
  run.learning_rate = request.reference.learning_rate.peak();
  run.momentum = request.reference.momentum;
  run.max_batch = request.reference.global_batch;
  return run;
}

void CheckRequest(const PlanRequest& request) {
  const Examples n = request.train_examples;
  if (n < Examples{1}) throw UserError("the training set is empty");
  if (request.reference.global_batch > n) {
    throw UserError(fmt::format("reference.global_batch = {} is more than the {} training examples",
                                request.reference.global_batch.value(), n.value()));
  }
  if (request.law.form == NoiseForm::kExact && request.reference.global_batch >= n) {
    throw UserError("a reference whose batch is the whole training set has no noise in the exact form");
  }
  if (!(request.learning_rate > 0) || !(request.reference.learning_rate.peak() > 0)) {
    throw UserError("the learning rate must be above 0");
  }
  const double first = IdealBatch(request, Examples{0});
  if (first < 0.5) {
    const double needed = request.learning_rate / first;
    throw UserError(fmt::format(
        "schedule.learning_rate = {} would need a first batch of {:.3g} examples to have the reference's noise; "
        "at {:.3g} and above there is at least one",
        request.learning_rate, first, needed));
  }
}

}  // namespace

double IdealBatch(const PlanRequest& request, Examples position) {
  return BatchForNoise(request.law, AnnealedNoise(request, position), IntendedRate(request, position),
                       request.train_examples, request.momentum.At(position));
}

double ReferenceNoiseScale(const PlanRequest& request, Examples position) {
  const Reference& reference = request.reference;
  return NoiseScale(request.law, reference.learning_rate.At(position), request.train_examples, reference.global_batch,
                    reference.momentum.At(position));
}

double LearningRateOf(const PlanRequest& request, Examples position, Examples global_batch) {
  const double momentum = request.momentum.At(position);
  double noise = ReferenceNoiseScale(request, position);
  if (request.policy == Policy::kGrow && request.at_cap == AtCap::kHold) {
    const Examples largest = LargestAllowedBatch(request);
    if (IdealBatch(request, position) > Value(largest)) {
      const double annealed = request.reference.learning_rate.AnnealedAt(position);
      const double rise = annealed > 0 ? request.reference.learning_rate.At(position) / annealed : 1;
      noise =
          NoiseScale(request.law, IntendedRate(request, position) * rise, request.train_examples, largest, momentum);
    }
  }
  return LearningRateForNoise(request.law, noise, request.train_examples, global_batch, momentum);
}

Examples LargestAllowedBatch(const PlanRequest& request) {
  // In the exact form a batch of all examples has no noise at any learning rate.
  const Examples n = request.train_examples;
  const Examples limit = std::min(request.max_batch, request.law.form == NoiseForm::kExact ? n - Examples{1} : n);
  if (request.policy == Policy::kDecay || request.rounding == Rounding::kNearest) return limit;
  if (request.rounding == Rounding::kMultiple) {
    if (limit.value() < request.batch_multiple) {
      throw UserError(fmt::format("schedule.batch_multiple = {} is more than the largest batch allowed, {}",
                                  request.batch_multiple, limit.value()));
    }
    return limit - limit % Examples{request.batch_multiple};
  }
  const double first = std::round(IdealBatch(request, Examples{0}));
  double power = std::floor(std::log(Value(limit) / first) / std::log(request.growth_factor) + 1e-9);
  while (std::round(first * std::pow(request.growth_factor, power)) > Value(limit)) power -= 1;
  return Examples{std::max<int64_t>(1, std::llround(first * std::pow(request.growth_factor, power)))};
}

Plan MakePlan(PlanRequest request) {
  CheckRequest(request);
  std::vector<Phase> phases = MakePhases(request);
  const std::vector<Phase> reference = MakePhases(ReferenceRun(request));
  const Updates reference_updates = reference.back().begin_update + reference.back().updates;
  return Plan(std::move(request), std::move(phases), reference_updates);
}

}  // namespace crescendo::schedule
