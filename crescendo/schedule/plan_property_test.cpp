// Properties of every plan: random references, limits and corner cases.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>

#include "crescendo/schedule/planner.h"

namespace crescendo::schedule {
namespace {

Shape AnyShape(int64_t length) {
  switch (*rc::gen::inRange(0, 7)) {
    case 0:
      return Constant{};
    case 1:
      return Step{{Examples{length / 3}, Examples{length / 2}}, *rc::gen::element(0.1, 0.2, 0.5, 0.9)};
    case 2:
      return Cosine{*rc::gen::element(0.0, 0.01)};
    case 3:
      return Restarts{Examples{length / 5}, *rc::gen::element(1.0, 1.5, 2.0), 0.001};
    case 4:
      return Exponential{Examples{length / 4}, 0.3};
    case 5:
      return OneCycle{Examples{length / 3}, 0.04, 1e-4};
    default:
      return Polynomial{*rc::gen::element(0.5, 1.0, 2.0), 0};
  }
}

PlanRequest AnyRequest() {
  const auto n = *rc::gen::inRange<int64_t>(50, 3000);
  const auto length =
      std::max<int64_t>(20, static_cast<int64_t>(static_cast<double>(n) * *rc::gen::element(0.7, 1.0, 3.0, 10.4)));
  const auto batch = *rc::gen::inRange<int64_t>(2, n / 3);
  const Warmup warmup{Examples{*rc::gen::element<int64_t>(0, length / 10)}, 0.1};
  PlanRequest request{
      .train_examples = Examples{n},
      .reference = {LearningRate(0.1, AnyShape(length), Examples{length}, warmup), 0.9, Examples{batch}},
      .policy = *rc::gen::element(Policy::kDecay, Policy::kGrow),
      .learning_rate = *rc::gen::element(0.1, 0.2, 0.05),
      .momentum = *rc::gen::element(0.9, 0.95, 0.0),
      .max_batch = Examples{*rc::gen::inRange<int64_t>(n / 10 + 1, n)}};
  request.rounding = *rc::gen::element(Rounding::kNearest, Rounding::kMultiple, Rounding::kPower);
  request.batch_multiple = *rc::gen::inRange<int64_t>(1, n / 10 + 1);
  request.hysteresis = *rc::gen::element(0.0, 0.25, 1.0);
  request.law.rule = *rc::gen::element(ScalingRule::kLinear, ScalingRule::kSquareRoot, ScalingRule::kSeesaw);
  request.law.form = *rc::gen::element(NoiseForm::kSmallBatch, NoiseForm::kExact);
  request.epoch_tail = *rc::gen::element(EpochTail::kCarry, EpochTail::kShort, EpochTail::kDrop);
  request.boundary = *rc::gen::element(Boundary::kStart, Boundary::kCut);
  RC_PRE(IdealBatch(request, Examples{0}) >= 1);
  return request;
}

RC_GTEST_PROP(PlanProperty, NoiseEqualsTheReferencesAtEveryUpdate, ()) {
  const Plan plan = MakePlan(AnyRequest());
  const NoiseLaw law = plan.request().law;
  for (Plan::Cursor c(plan); !c.AtEnd(); c.Advance()) {
    const Setting& s = c.setting();
    const double noise = NoiseScale(law, s.learning_rate, plan.train_examples(), s.global_batch, s.momentum);
    RC_ASSERT(std::abs(noise - s.reference_noise_scale) <= 1e-12 * s.reference_noise_scale);
  }
}

RC_GTEST_PROP(PlanProperty, UpdatesCoverTheTrainingOnceInOrder, ()) {
  const Plan plan = MakePlan(AnyRequest());
  const bool drop = plan.request().epoch_tail == EpochTail::kDrop;
  Examples clock{0};
  Updates update{0};
  for (Plan::Cursor c(plan); !c.AtEnd(); c.Advance(), update += Updates{1}) {
    const Setting& s = c.setting();
    RC_ASSERT(s.update == update);
    RC_ASSERT((drop ? s.begin >= clock : s.begin == clock));
    RC_ASSERT(s.global_batch > Examples{0});
    RC_ASSERT(s.begin + s.global_batch <= s.end);
    RC_ASSERT((drop || s.begin + s.global_batch == s.end));
    if (plan.request().epoch_tail != EpochTail::kCarry) {
      RC_ASSERT(s.begin / plan.train_examples() == (s.begin + s.global_batch - Examples{1}) / plan.train_examples());
    }
    clock = s.end;
  }
  RC_ASSERT(update == plan.total_updates());
  RC_ASSERT((drop || clock == plan.total_examples()));
}

RC_GTEST_PROP(PlanProperty, RandomAccessAgreesWithTheWalk, ()) {
  const Plan plan = MakePlan(AnyRequest());
  for (Plan::Cursor c(plan); !c.AtEnd(); c.Advance()) {
    const Setting& walked = c.setting();
    for (const Setting& found : {plan.At(walked.update), plan.AtExample(walked.begin),
                                 plan.AtExample(walked.begin + walked.global_batch - Examples{1})}) {
      RC_ASSERT(found.update == walked.update);
      RC_ASSERT(found.begin == walked.begin);
      RC_ASSERT(found.end == walked.end);
      RC_ASSERT(found.global_batch == walked.global_batch);
      RC_ASSERT(found.learning_rate == walked.learning_rate);
    }
  }
}

RC_GTEST_PROP(PlanProperty, WalkFromAnyUpdateIsTheSameWalk, ()) {
  const Plan plan = MakePlan(AnyRequest());
  const Updates from{*rc::gen::inRange<int64_t>(0, plan.total_updates().value())};
  Plan::Cursor resumed(plan, from);
  for (Plan::Cursor whole(plan); !whole.AtEnd(); whole.Advance()) {
    if (whole.setting().update < from) continue;
    RC_ASSERT(resumed.setting().begin == whole.setting().begin);
    RC_ASSERT(resumed.setting().global_batch == whole.setting().global_batch);
    RC_ASSERT(resumed.setting().learning_rate == whole.setting().learning_rate);
    resumed.Advance();
  }
  RC_ASSERT(resumed.AtEnd());
}

RC_GTEST_PROP(PlanProperty, BatchesStayInTheirLimits, ()) {
  const PlanRequest request = AnyRequest();
  const Plan plan = MakePlan(request);
  for (const Phase& phase : plan.phases()) {
    RC_ASSERT(phase.global_batch >= Examples{1});
    RC_ASSERT(phase.global_batch <= LargestAllowedBatch(request));
    RC_ASSERT(phase.updates > Updates{0});
    if (request.policy == Policy::kGrow && request.rounding == Rounding::kMultiple) {
      RC_ASSERT(phase.global_batch % Examples{request.batch_multiple} == Examples{0});
    }
  }
}

RC_GTEST_PROP(PlanProperty, AFallingReferenceNeverShrinksTheBatch, ()) {
  PlanRequest request = AnyRequest();
  RC_PRE(!std::holds_alternative<Restarts>(request.reference.learning_rate.shape()));
  const Plan plan = MakePlan(request);
  for (size_t i = 1; i < plan.phases().size(); ++i) {
    RC_ASSERT(plan.phases()[i].global_batch >= plan.phases()[i - 1].global_batch);
  }
}

// The bisection of phases against the definition: without hysteresis each update's batch is the rounded ideal at its
// start.
RC_GTEST_PROP(PlanProperty, WithoutHysteresisEachUpdateHasTheIdealBatchOfItsStart, ()) {
  PlanRequest request = AnyRequest();
  request.policy = Policy::kGrow;
  request.rounding = Rounding::kNearest;
  request.hysteresis = 0;
  const Plan plan = MakePlan(request);
  const auto largest = static_cast<double>(LargestAllowedBatch(request).value());
  for (Plan::Cursor c(plan); !c.AtEnd(); c.Advance()) {
    const double ideal = std::clamp(IdealBatch(request, c.setting().begin), 1.0, largest);
    RC_ASSERT(plan.phases()[c.setting().phase].global_batch.value() == std::llround(ideal));
  }
}

}  // namespace
}  // namespace crescendo::schedule
