// The promise of the planner, for every shape under every choice: each update has the reference's noise scale to 1e-12.
// Both sides are worked out here, from formulas of the shapes and of the noise written down once more.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numbers>

#include "crescendo/base/error.h"
#include "crescendo/schedule/planner.h"

namespace crescendo::schedule {
namespace {

constexpr double kN = 1000;
constexpr double kLength = 20'000;
constexpr double kPeak = 0.1;
constexpr int64_t kBatch = 10;
constexpr int64_t kMaxBatch = 300;

struct ShapeRow {
  const char* name;
  Shape shape;
  Warmup warmup;
  std::function<double(double)> rate;  // of the position
};

Examples At(int64_t position) { return Examples{position}; }

double HalfCosine(double part) { return (1 + std::cos(std::numbers::pi * part)) / 2; }

const std::vector<ShapeRow>& Shapes() {
  static const std::vector<ShapeRow> rows = {
      {"constant", Constant{}, {}, [](double) { return kPeak; }},
      {"step",
       Step{{At(6005), At(12'000), At(16'000)}, 0.2},
       {},
       [](double p) { return kPeak * std::pow(0.2, (p >= 6005) + (p >= 12'000) + (p >= 16'000)); }},
      {"step after a warm-up",
       Step{{At(8000)}, 0.1},
       {At(1000), 0.1},
       [](double p) { return (p < 8000 ? kPeak : 0.1 * kPeak) * (p < 1000 ? 0.1 + 0.9 * p / 1000 : 1); }},
      {"cosine", Cosine{0.001}, {}, [](double p) { return 0.001 + 0.099 * HalfCosine(p / kLength); }},
      {"restarts",
       Restarts{At(4000), 2, 0.001},
       {},
       [](double p) {
         const double part = p < 4000 ? p / 4000 : p < 12'000 ? (p - 4000) / 8000 : (p - 12'000) / 16'000;
         return 0.001 + 0.099 * HalfCosine(part);
       }},
      {"exponential", Exponential{At(5000), 0.3}, {}, [](double p) { return kPeak * std::pow(0.3, p / 5000); }},
      {"polynomial",
       Polynomial{2, 0.0005},
       {},
       [](double p) { return 0.0005 + 0.0995 * std::pow(1 - p / kLength, 2); }},
      {"linear after a warm-up",
       Polynomial{1, 0.001},
       {At(500), 0},
       [](double p) { return (0.001 + 0.099 * (1 - p / kLength)) * (p < 500 ? p / 500 : 1); }},
      {"one_cycle",
       OneCycle{At(6000), 0.04, 0.01},
       {},
       [](double p) {
         if (p < 6000) return kPeak * (0.04 + 0.96 * (1 - HalfCosine(p / 6000)));
         return kPeak * (0.01 + 0.99 * HalfCosine((p - 6000) / 14'000));
       }},
      {"trapezoid",
       Trapezoid{At(12'000), 0.001},
       {At(1000), 0.2},
       [](double p) {
         return (p < 12'000 ? kPeak : 0.001 + 0.099 * (1 - (p - 12'000) / 8000)) *
                (p < 1000 ? 0.2 + 0.8 * p / 1000 : 1);
       }},
      {"inverse_sqrt after a warm-up",
       InverseSquareRoot{At(1500)},
       {At(1500), 0},
       [](double p) { return kPeak * (p < 1500 ? p / 1500 : std::sqrt(1500 / p)); }},
      {"table",
       Table{{{At(0), 0.05}, {At(2000), 0.1}, {At(9000), 0.01}}, false},
       {},
       [](double p) { return p < 2000   ? 0.05
                             : p < 9000 ? 0.1
                                        : 0.01; }},
      {"table with straight lines",
       Table{{{At(0), 0.1}, {At(10'000), 0.02}, {At(20'000), 0.001}}, true},
       {},
       [](double p) { return p < 10'000 ? 0.1 - 0.08 * p / 10'000 : 0.02 - 0.019 * (p - 10'000) / 10'000; }},
  };
  return rows;
}

struct ChoiceRow {
  const char* name;
  std::function<void(PlanRequest&)> choose;
};

const std::vector<ChoiceRow>& Choices() {
  static const std::vector<ChoiceRow> rows = {
      {"as by default", [](PlanRequest& r) { r.hysteresis = 0.25; }},
      {"decay", [](PlanRequest& r) { r.policy = Policy::kDecay; }},
      {"at every update (hysteresis 0)", [](PlanRequest& r) { r.hysteresis = 0; }},
      {"exact form", [](PlanRequest& r) { r.law.form = NoiseForm::kExact; }},
      {"sqrt", [](PlanRequest& r) { r.law.rule = ScalingRule::kSquareRoot; }},
      {"sqrt, exact",
       [](PlanRequest& r) {
         r.law = {ScalingRule::kSquareRoot, NoiseForm::kExact};
       }},
      {"seesaw", [](PlanRequest& r) { r.law.rule = ScalingRule::kSeesaw; }},
      {"multiples of 7", [](PlanRequest& r) { r.rounding = Rounding::kMultiple, r.batch_multiple = 7; }},
      {"powers of 3", [](PlanRequest& r) { r.rounding = Rounding::kPower, r.growth_factor = 3; }},
      {"short tails", [](PlanRequest& r) { r.epoch_tail = EpochTail::kShort; }},
      {"dropped tails", [](PlanRequest& r) { r.epoch_tail = EpochTail::kDrop; }},
      {"cut boundaries", [](PlanRequest& r) { r.boundary = Boundary::kCut; }},
      {"cut boundaries and short tails",
       [](PlanRequest& r) { r.boundary = Boundary::kCut, r.epoch_tail = EpochTail::kShort; }},
      {"larger rate", [](PlanRequest& r) { r.learning_rate = 0.23; }},
      {"larger momentum", [](PlanRequest& r) { r.momentum = Momentum(0.97); }},
      {"momentum that changes",
       [](PlanRequest& r) {
         r.momentum = Momentum(0.8, {{At(3000), 0.9}, {At(15'001), 0.95}});
       }},
      {"reference whose momentum changes",
       [](PlanRequest& r) {
         r.reference.momentum = Momentum(0.9, {{At(7000), 0.5}});
       }},
      {"tight cap", [](PlanRequest& r) { r.max_batch = At(13); }},
  };
  return rows;
}

PlanRequest MakeRequest(const ShapeRow& row) {
  return {.train_examples = At(static_cast<int64_t>(kN)),
          .reference = {LearningRate(kPeak, row.shape, At(static_cast<int64_t>(kLength)), row.warmup), Momentum(0.9),
                        At(kBatch)},
          .policy = Policy::kGrow,
          .learning_rate = kPeak,
          .momentum = Momentum(0.9),
          .max_batch = At(kMaxBatch),
          .hysteresis = 0.25};
}

// lr N / (B (1-m)), lr (N/B - 1) / (1-m), or with the root of N/B or N/B - 1.
double Noise(NoiseLaw law, double rate, double batch, double momentum) {
  const double ratio = law.form == NoiseForm::kExact ? kN / batch - 1 : kN / batch;
  return rate * (law.rule == ScalingRule::kLinear ? ratio : std::sqrt(ratio)) / (1 - momentum);
}

struct Gaps {
  double largest = 0;
  int64_t updates = 0;
};

Gaps Compare(const PlanRequest& request, const std::function<double(double)>& rate) {
  Gaps gaps;
  const Plan plan = MakePlan(request);
  for (Plan::Cursor c(plan); !c.AtEnd(); c.Advance(), ++gaps.updates) {
    const Setting& s = c.setting();
    const auto position = static_cast<double>(s.begin.value());
    const double reference = Noise(request.law, rate(position), kBatch, request.reference.momentum.At(s.begin));
    const double noise =
        Noise(request.law, s.learning_rate, static_cast<double>(s.global_batch.value()), request.momentum.At(s.begin));
    // A rate of 0 (a warm-up from 0) is a noise of 0.
    gaps.largest = std::max(gaps.largest, reference == 0 ? noise : std::abs(noise / reference - 1));
  }
  EXPECT_EQ(gaps.updates, plan.total_updates().value());
  return gaps;
}

TEST(NoiseEquality, HoldsAtEveryUpdateOfEveryShapeUnderEveryChoice) {
  for (const ShapeRow& shape : Shapes()) {
    for (const ChoiceRow& choice : Choices()) {
      PlanRequest request = MakeRequest(shape);
      choice.choose(request);
      const Gaps gaps = Compare(request, shape.rate);
      EXPECT_LE(gaps.largest, 1e-12) << shape.name << ", " << choice.name;
      EXPECT_GT(gaps.updates, 50) << shape.name << ", " << choice.name;
    }
  }
}

TEST(NoiseEquality, HoldingAtTheCapLeavesTheReferenceOnlyThereAndOnlyAbove) {
  for (const ShapeRow& shape : Shapes()) {
    PlanRequest request = MakeRequest(shape);
    request.at_cap = AtCap::kHold;
    request.max_batch = At(20);
    const Plan plan = MakePlan(request);
    for (Plan::Cursor c(plan); !c.AtEnd(); c.Advance()) {
      const Setting& s = c.setting();
      const bool at_cap = plan.phases()[s.phase].global_batch == At(20);
      const double gap = s.noise_scale - s.reference_noise_scale;
      EXPECT_GE(gap, -1e-12 * s.reference_noise_scale) << shape.name << " at update " << s.update.value();
      if (!at_cap) {
        EXPECT_LE(gap, 1e-12 * s.reference_noise_scale) << shape.name << " at update " << s.update.value();
      }
    }
  }
}

TEST(NoiseEquality, TheCapIsRefusedExactlyWhereItWouldBeReached) {
  for (const ShapeRow& shape : Shapes()) {
    PlanRequest request = MakeRequest(shape);
    request.hysteresis = 0;
    request.max_batch = At(static_cast<int64_t>(kN));
    const Examples largest = MakePlan(request).largest_batch();
    request.at_cap = AtCap::kError;
    if (largest < At(static_cast<int64_t>(kN))) {  // else more than all examples were wanted
      request.max_batch = largest;
      EXPECT_NO_THROW(MakePlan(request)) << shape.name;
    }
    if (largest == At(kBatch)) continue;
    request.max_batch = largest - At(1);
    EXPECT_THROW(MakePlan(request), UserError) << shape.name;
  }
}

}  // namespace
}  // namespace crescendo::schedule
