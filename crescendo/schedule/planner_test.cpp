#include "crescendo/schedule/planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "crescendo/base/error.h"

namespace crescendo::schedule {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kN = 50'000;

Examples Epochs(double epochs) { return Examples{std::llround(epochs * kN)}; }

// Section 5 of the paper: CIFAR-10, noise / 5 at epochs 60, 120 and 160 of 204.8 (80,000 updates at B = 128).
PlanRequest Paper(Policy policy, double rate, double momentum, int64_t max_batch) {
  const LearningRate reference(0.1, Step{{Epochs(60), Epochs(120), Epochs(160)}, 0.2}, Epochs(204.8));
  return PlanRequest{.train_examples = Examples{kN},
                     .reference = {reference, 0.9, Examples{128}},
                     .policy = policy,
                     .learning_rate = rate,
                     .momentum = momentum,
                     .max_batch = Examples{max_batch}};
}

std::vector<int64_t> Batches(const Plan& plan) {
  std::vector<int64_t> batches;
  for (const Phase& phase : plan.phases()) batches.push_back(phase.global_batch.value());
  return batches;
}

std::vector<double> Rates(const Plan& plan) {
  std::vector<double> rates;
  for (const Phase& phase : plan.phases()) rates.push_back(phase.learning_rate);
  return rates;
}

struct PaperRow {
  const char* name;
  Policy policy;
  double rate;
  double momentum;
  int64_t max_batch;
  std::vector<int64_t> batches;
  std::vector<double> rates;
  double fractional_updates;  // N/B counts added up, as the paper counts
};

const PaperRow kPaperRows[] = {
    {"5.1 decay", Policy::kDecay, 0.1, 0.9, kN, {128, 128, 128, 128}, {0.1, 0.02, 0.004, 0.0008}, 80'000},
    {"5.1 hybrid", Policy::kGrow, 0.1, 0.9, 640, {128, 640, 640, 640}, {0.1, 0.1, 0.02, 0.004}, 34'750},
    {"5.1 grow", Policy::kGrow, 0.1, 0.9, kN, {128, 640, 3200, 16'000}, {0.1, 0.1, 0.1, 0.1}, 28'890},
    {"5.2 original", Policy::kDecay, 0.1, 0.9, 5120, {128, 128, 128, 128}, {0.1, 0.02, 0.004, 0.0008}, 80'000},
    {"5.2 increasing batch", Policy::kGrow, 0.1, 0.9, 5120, {128, 640, 3200, 5120}, {0.1, 0.1, 0.1, 0.032}, 29'187.5},
    {"5.2 increased initial lr",
     Policy::kGrow,
     0.5,
     0.9,
     5120,
     {640, 3200, 5120, 5120},
     {0.5, 0.5, 0.16, 0.032},
     6453.125},
    {"5.2 increased momentum",
     Policy::kGrow,
     0.5,
     0.98,
     5120,
     {3200, 5120, 5120, 5120},
     {0.5, 0.16, 0.032, 0.0064},
     2351.5625},
};

TEST(Planner, GivesThePapersSchedules) {
  for (const PaperRow& row : kPaperRows) {
    SCOPED_TRACE(row.name);
    const Plan plan = MakePlan(Paper(row.policy, row.rate, row.momentum, row.max_batch));
    EXPECT_EQ(Batches(plan), row.batches);
    EXPECT_THAT(Rates(plan), ElementsAre(DoubleNear(row.rates[0], 1e-15), DoubleNear(row.rates[1], 1e-15),
                                         DoubleNear(row.rates[2], 1e-15), DoubleNear(row.rates[3], 1e-15)));
    // A run takes whole updates: at most one more per phase.
    EXPECT_GE(static_cast<double>(plan.total_updates().value()), row.fractional_updates);
    EXPECT_LE(static_cast<double>(plan.total_updates().value()), row.fractional_updates + 4);
    EXPECT_EQ(plan.reference_updates(), Updates{80'000});
  }
}

// Worked by hand. B=128 until epoch 60: ceil(3,000,000 / 128) = 23,438 updates, the last reaching example 3,000,064.
// B=640 from there: ceil(2,999,936 / 640) = 4,688, to 6,000,384. B=3200: ceil(1,999,616 / 3200) = 625, to 8,000,384.
// B=16,000: ceil(2,239,616 / 16,000) = 140, the last of 15,616 examples.
TEST(Planner, CountsWholeUpdatesExactly) {
  const Plan plan = MakePlan(Paper(Policy::kGrow, 0.1, 0.9, kN));
  ASSERT_EQ(plan.phases().size(), 4);
  EXPECT_EQ(plan.phases()[0].updates, Updates{23'438});
  EXPECT_EQ(plan.phases()[1].begin_example, Examples{3'000'064});
  EXPECT_EQ(plan.phases()[1].updates, Updates{4'688});
  EXPECT_EQ(plan.phases()[2].begin_example, Examples{6'000'384});
  EXPECT_EQ(plan.phases()[2].updates, Updates{625});
  EXPECT_EQ(plan.phases()[3].begin_example, Examples{8'000'384});
  EXPECT_EQ(plan.phases()[3].updates, Updates{140});
  EXPECT_EQ(plan.total_updates(), Updates{28'891});
  const Setting last = plan.At(plan.total_updates() - Updates{1});
  EXPECT_EQ(last.global_batch, Examples{15'616});
  EXPECT_EQ(last.end, Examples{10'240'000});
  EXPECT_NEAR(last.learning_rate, 0.1 * 15'616 / 16'000, 1e-15);  // the short update keeps the noise too
}

TEST(Planner, ShortLastUpdateKeepsTheNoise) {
  const Plan plan = MakePlan(Paper(Policy::kGrow, 0.1, 0.9, kN));
  const Setting last = plan.At(plan.total_updates() - Updates{1});
  EXPECT_NEAR(last.noise_scale / last.reference_noise_scale, 1, 1e-12);
}

TEST(Planner, ImageNetOfSection53) {
  const int64_t n = 1'281'167;
  const auto epochs = [&](double e) { return Examples{std::llround(e * static_cast<double>(n))}; };
  const LearningRate reference(3.0, Step{{epochs(30), epochs(60), epochs(80)}, 0.1}, epochs(90));
  struct Row {
    Policy policy;
    int64_t reference_batch;
    double momentum;
    int64_t max_batch;
    std::vector<int64_t> batches;
    std::vector<double> rates;
    double updates;
  };
  const Row rows[] = {
      {Policy::kDecay, 8192, 0.9, n, {8192, 8192, 8192, 8192}, {3, 0.3, 0.03, 0.003}, 14'075},
      {Policy::kGrow, 8192, 0.9, 81'920, {8192, 81'920, 81'920, 81'920}, {3, 3, 0.3, 0.03}, 5'630},
      {Policy::kGrow, 8192, 0.9, 65'536, {8192, 65'536, 65'536, 65'536}, {3, 2.4, 0.24, 0.024}, 5'865},
      {Policy::kGrow, 8192, 0.95, 65'536, {16'384, 65'536, 65'536, 65'536}, {3, 1.2, 0.12, 0.012}, 3'519},
      {Policy::kGrow, 8192, 0.975, 65'536, {32'768, 65'536, 65'536, 65'536}, {3, 0.6, 0.06, 0.006}, 2'346},
  };
  for (const Row& row : rows) {
    PlanRequest request{.train_examples = Examples{n},
                        .reference = {reference, 0.9, Examples{row.reference_batch}},
                        .policy = row.policy,
                        .learning_rate = 3.0,
                        .momentum = row.momentum,
                        .max_batch = Examples{row.max_batch}};
    const Plan plan = MakePlan(request);
    EXPECT_EQ(Batches(plan), row.batches);
    for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(Rates(plan)[i], row.rates[i], 1e-12);
    EXPECT_NEAR(static_cast<double>(plan.total_updates().value()), row.updates, 5)
        << row.max_batch << " " << row.momentum;
  }
}

PlanRequest Smooth(Shape shape, double hysteresis, Warmup warmup = {}) {
  return PlanRequest{.train_examples = Examples{10'000},
                     .reference = {LearningRate(0.1, std::move(shape), Examples{200'000}, warmup), 0.9, Examples{100}},
                     .policy = Policy::kGrow,
                     .learning_rate = 0.1,
                     .momentum = 0.9,
                     .max_batch = Examples{1000},
                     .hysteresis = hysteresis};
}

TEST(Planner, HysteresisGivesACosineAFewBatchesAndTheRateTheRest) {
  const Plan smooth = MakePlan(Smooth(Cosine{}, 0));
  const Plan stepped = MakePlan(Smooth(Cosine{}, 0.25));
  EXPECT_GT(smooth.phases().size(), 100);
  EXPECT_LT(stepped.phases().size(), 20);
  EXPECT_EQ(stepped.largest_batch(), Examples{1000});
  for (const Plan* plan : {&smooth, &stepped}) {
    for (Plan::Cursor c(*plan); !c.AtEnd(); c.Advance()) {
      EXPECT_NEAR(c.setting().noise_scale, c.setting().reference_noise_scale,
                  1e-12 * c.setting().reference_noise_scale);
    }
  }
}

TEST(Planner, BatchesAreMultiplesOrPowersWhereAsked) {
  PlanRequest request = Smooth(Polynomial{1, 0}, 0);
  request.rounding = Rounding::kMultiple;
  request.batch_multiple = 64;
  for (const int64_t batch : Batches(MakePlan(request))) EXPECT_EQ(batch % 64, 0);
  request.rounding = Rounding::kPower;
  request.growth_factor = 2;
  EXPECT_EQ(Batches(MakePlan(request)), (std::vector<int64_t>{100, 200, 400, 800}));  // 1600 is above the cap of 1000
}

TEST(Planner, WarmupGoesToTheRateAndNotToTheBatch) {
  const Plan plan = MakePlan(Smooth(Constant{}, 0, {Examples{50'000}, 0}));
  EXPECT_EQ(Batches(plan), (std::vector<int64_t>{100, 100}));
  EXPECT_NEAR(plan.AtExample(Examples{25'000}).learning_rate, 0.05, 1e-12);
  EXPECT_NEAR(plan.AtExample(Examples{50'000}).learning_rate, 0.1, 1e-12);
}

TEST(Planner, RestartsShrinkTheBatchAgain) {
  const Plan plan = MakePlan(Smooth(Restarts{Examples{100'000}, 1, 0}, 0.25));
  EXPECT_EQ(plan.AtExample(Examples{99'000}).global_batch, Examples{1000});
  EXPECT_EQ(plan.AtExample(Examples{101'000}).global_batch, Examples{100});
}

TEST(Planner, SqrtRuleGrowsByTheSquareAndSeesawBySharing) {
  PlanRequest request = Smooth(Step{{Examples{100'000}}, 0.5}, 0);
  request.law.rule = ScalingRule::kSquareRoot;
  EXPECT_EQ(Batches(MakePlan(request)), (std::vector<int64_t>{100, 400}));
  EXPECT_NEAR(Rates(MakePlan(request))[1], 0.1, 1e-15);
  request.law.rule = ScalingRule::kSeesaw;
  EXPECT_EQ(Batches(MakePlan(request)), (std::vector<int64_t>{100, 200}));
  EXPECT_NEAR(Rates(MakePlan(request))[1], 0.1 / std::sqrt(2.0), 1e-15);
}

TEST(Planner, MomentumIsALeverAndMayChangeLater) {
  PlanRequest request = Smooth(Constant{}, 0);
  request.momentum = 0.95;
  EXPECT_EQ(Batches(MakePlan(request)), (std::vector<int64_t>{200}));
  request.momentum = Momentum(0.9, {{Examples{100'000}, 0.98}});
  EXPECT_EQ(Batches(MakePlan(request)), (std::vector<int64_t>{100, 500}));
}

TEST(Planner, AtTheCapHoldsOrRefusesWhereAsked) {
  PlanRequest request = Smooth(Step{{Examples{100'000}, Examples{150'000}}, 0.2}, 0);  // wants 100, 500, 2500
  EXPECT_NEAR(Rates(MakePlan(request))[2], 0.04, 1e-15);
  request.at_cap = AtCap::kHold;
  const Plan held = MakePlan(request);
  EXPECT_EQ(Batches(held), (std::vector<int64_t>{100, 500, 1000}));
  EXPECT_NEAR(Rates(held)[2], 0.1, 1e-15);
  EXPECT_GT(held.phases()[2].noise_scale, 2 * held.phases()[2].reference_noise_scale);
  request.at_cap = AtCap::kError;
  try {
    MakePlan(request);
    FAIL();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("wants a batch of 2500 at example 150000"));
  }
}

TEST(Planner, CutBoundaryEndsThePhaseExactlyThere) {
  PlanRequest request = Smooth(Step{{Examples{100'050}}, 0.2}, 0);
  EXPECT_EQ(MakePlan(request).phases()[1].begin_example, Examples{100'100});
  request.boundary = Boundary::kCut;
  const Plan plan = MakePlan(request);
  EXPECT_EQ(plan.phases()[1].begin_example, Examples{100'050});
  const Setting cut = plan.AtExample(Examples{100'049});
  EXPECT_EQ(cut.global_batch, Examples{50});
  EXPECT_NEAR(cut.noise_scale, cut.reference_noise_scale, 1e-12 * cut.noise_scale);
}

TEST(Planner, EpochTailsAreShortOrDroppedWhereAsked) {
  PlanRequest request = Smooth(Constant{}, 0);
  request.train_examples = Examples{1050};
  request.reference = {LearningRate(0.1, Constant{}, Examples{2100}), 0.9, Examples{100}};
  request.epoch_tail = EpochTail::kShort;
  const Plan with_short = MakePlan(request);
  EXPECT_EQ(with_short.total_updates(), Updates{22});
  EXPECT_EQ(with_short.At(Updates{10}).global_batch, Examples{50});
  EXPECT_EQ(with_short.At(Updates{11}).begin, Examples{1050});
  request.epoch_tail = EpochTail::kDrop;
  const Plan dropped = MakePlan(request);
  EXPECT_EQ(dropped.total_updates(), Updates{20});
  EXPECT_EQ(dropped.At(Updates{9}).end, Examples{1050});
  EXPECT_EQ(dropped.At(Updates{10}).begin, Examples{1050});
}

TEST(Planner, ExactFormHoldsTheExactNoise) {
  PlanRequest request = Paper(Policy::kGrow, 0.1, 0.9, 5000);
  request.law.form = NoiseForm::kExact;
  const Plan plan = MakePlan(request);
  for (const Phase& phase : plan.phases()) {
    EXPECT_NEAR(phase.noise_scale_exact, phase.reference_noise_scale, 1e-12 * phase.reference_noise_scale);
    EXPECT_EQ(phase.noise_scale, phase.noise_scale_exact);
  }
  EXPECT_EQ(plan.phases()[1].global_batch, Examples{634});  // 50,000 / (1 + 389.625 / 5 / ...) = 633.5
}

TEST(Planner, RequestsThatCannotBeMetSayWhatWould) {
  PlanRequest tiny = Paper(Policy::kGrow, 1e-5, 0.9, kN);
  EXPECT_THROW(MakePlan(tiny), UserError);
  PlanRequest small = Paper(Policy::kGrow, 0.1, 0.9, kN);
  small.train_examples = Examples{100};
  try {
    MakePlan(small);
    FAIL();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("reference.global_batch = 128 is more than the 100 training examples"));
  }
}

// From another plan's position: the rest of the update that holds it, with its noise, and then the plan as it stands.
TEST(Plan, CursorFromAnExampleDoesTheRestOfItsUpdate) {
  const Plan plan = MakePlan(Paper(Policy::kGrow, 0.1, 0.9, kN));
  const Setting whole = plan.At(Updates{3});
  Plan::Cursor at_begin(plan, whole.begin);
  EXPECT_EQ(at_begin.setting().update, Updates{3});
  EXPECT_EQ(at_begin.setting().learning_rate, whole.learning_rate);
  EXPECT_EQ(at_begin.setting().global_batch, Examples{128});

  Plan::Cursor inside(plan, whole.begin + Examples{100});
  EXPECT_EQ(inside.setting().begin, whole.begin + Examples{100});
  EXPECT_EQ(inside.setting().end, whole.end);
  EXPECT_EQ(inside.setting().global_batch, Examples{28});
  EXPECT_DOUBLE_EQ(inside.setting().learning_rate, 0.1 * 28 / 128);
  EXPECT_DOUBLE_EQ(inside.setting().noise_scale, whole.noise_scale);
  inside.Advance();
  EXPECT_EQ(inside.setting().begin, whole.end);
  EXPECT_EQ(inside.setting().global_batch, Examples{128});
}

TEST(Plan, CursorFromAnExampleThatIsLeftOutOrBehindTheEnd) {
  PlanRequest request = Paper(Policy::kDecay, 0.1, 0.9, kN);
  request.epoch_tail = EpochTail::kDrop;
  const Plan plan = MakePlan(request);  // 390 updates of 128 are 49,920 of 50,000 examples
  EXPECT_EQ(Plan::Cursor(plan, Examples{49'919}).setting().update, Updates{389});
  EXPECT_EQ(Plan::Cursor(plan, Examples{49'920}).setting().begin, Examples{50'000});
  EXPECT_EQ(Plan::Cursor(plan, Examples{50'000}).setting().update, Updates{390});
  EXPECT_FALSE(Plan::Cursor(plan, plan.total_examples() - Examples{1}).AtEnd());
  EXPECT_TRUE(Plan::Cursor(plan, plan.total_examples()).AtEnd());
}

TEST(Plan, WarnsWhereTheMomentumBufferLosesTooMuch) {
  const Plan grow = MakePlan(Paper(Policy::kGrow, 0.1, 0.9, 5120));
  EXPECT_DOUBLE_EQ(grow.epochs_before_first_drop(), 60);
  EXPECT_FALSE(grow.LosesTooMuch(grow.phases()[3]));  // 1.02 of 60 epochs
  const Plan momentum = MakePlan(Paper(Policy::kGrow, 0.5, 0.98, 5120));
  EXPECT_TRUE(momentum.LosesTooMuch(momentum.phases()[0]));  // 3.2 epochs: the schedule that lost accuracy in the paper
}

TEST(Plan, ATrillionExamplesInAThousandPhasesAreCountedNotStored) {
  std::vector<Examples> boundaries;
  for (int64_t i = 1; i < 1000; ++i) boundaries.emplace_back(i * 1'000'000'000);
  PlanRequest request{
      .train_examples = Examples{1'000'000'000},
      .reference = {LearningRate(0.1, Step{boundaries, 0.999}, Examples{1'000'000'000'000}), 0.9, Examples{256}},
      .policy = Policy::kGrow,
      .learning_rate = 0.1,
      .momentum = 0.9,
      .max_batch = Examples{100'000'000}};
  const Plan plan = MakePlan(request);
  EXPECT_EQ(plan.phases().size(), 1000);
  EXPECT_GT(plan.total_updates().value(), 1'000'000'000);
  EXPECT_EQ(plan.At(plan.total_updates() - Updates{1}).end, Examples{1'000'000'000'000});
}

}  // namespace
}  // namespace crescendo::schedule
