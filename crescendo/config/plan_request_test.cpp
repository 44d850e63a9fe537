#include "crescendo/config/plan_request.h"

#include <gtest/gtest.h>

#include "crescendo/base/error.h"
#include "crescendo/config/load.h"
#include "crescendo/schedule/planner.h"

namespace crescendo::config {
namespace {

using schedule::Examples;

// A reference of 10 epochs of 1000 examples.
schedule::PlanRequest Request(const std::string& reference, const std::string& schedule = "") {
  return MakePlanRequest(LoadText("[reference]\n" + reference + "\n[schedule]\nlength = '10ep'\n" + schedule, "x.toml"),
                         1000);
}

double RateAt(const schedule::PlanRequest& request, int64_t position) {
  return request.reference.learning_rate.At(Examples{position});
}

// The paper's first table of section 5.2, as a recipe states it.
TEST(PlanRequest, OfThePapersIncreasingBatchGivesThePapersPlan) {
  const Options options = LoadText(R"(
    [reference]
    learning_rate = 0.1
    boundaries = ["60ep", "120ep", "160ep"]
    factor = 0.2
    [schedule]
    length = "204.8ep"
    max_batch = 5120
  )",
                                   "x.toml");
  const schedule::Plan plan = schedule::MakePlan(MakePlanRequest(options, 50'000));
  ASSERT_EQ(plan.phases().size(), 4);
  EXPECT_EQ(plan.total_examples(), Examples{10'240'000});
  EXPECT_EQ(plan.phases()[0].global_batch, Examples{128});
  EXPECT_EQ(plan.phases()[1].global_batch, Examples{640});
  EXPECT_EQ(plan.phases()[2].global_batch, Examples{3200});
  EXPECT_EQ(plan.phases()[3].global_batch, Examples{5120});
  EXPECT_DOUBLE_EQ(plan.phases()[3].learning_rate, 0.032);
}

TEST(PlanRequest, CarriesEveryShape) {
  EXPECT_EQ(RateAt(Request("shape = 'constant'\nlearning_rate = 0.5"), 9'999), 0.5);
  EXPECT_DOUBLE_EQ(RateAt(Request("boundaries = ['2ep', '3500sp']\nlearning_rate = 1\nfactor = 0.5"), 3'500), 0.25);
  EXPECT_DOUBLE_EQ(RateAt(Request("shape = 'cosine'\nlearning_rate = 1\nfinal_learning_rate = 0.5"), 5'000), 0.75);
  EXPECT_DOUBLE_EQ(RateAt(Request("shape = 'restarts'\nlearning_rate = 1\nperiod = '2ep'\ncycle_factor = 2"), 4'000),
                   0.5);
  EXPECT_DOUBLE_EQ(RateAt(Request("shape = 'exponential'\nlearning_rate = 1\nperiod = '5ep'\nfactor = 0.25"), 2'500),
                   0.5);
  EXPECT_DOUBLE_EQ(RateAt(Request("shape = 'polynomial'\nlearning_rate = 1\npower = 2"), 5'000), 0.25);
  EXPECT_DOUBLE_EQ(RateAt(Request("shape = 'linear'\nlearning_rate = 1\nfinal_learning_rate = 0.5"), 5'000), 0.75);
  const auto one_cycle =
      Request("shape = 'one_cycle'\nlearning_rate = 1\nrise = '4ep'\nstart_factor = 0.2\nfinal_factor = 0.1");
  EXPECT_DOUBLE_EQ(RateAt(one_cycle, 0), 0.2);
  EXPECT_DOUBLE_EQ(RateAt(one_cycle, 4'000), 1);
  EXPECT_DOUBLE_EQ(RateAt(one_cycle, 7'000), 0.55);
  EXPECT_DOUBLE_EQ(RateAt(Request("shape = 'trapezoid'\nlearning_rate = 1\ndecay_begin = '8ep'"), 9'000), 0.5);
  EXPECT_DOUBLE_EQ(RateAt(Request("shape = 'inverse_sqrt'\nlearning_rate = 1\ndecay_begin = '1ep'"), 4'000), 0.5);
  const std::string table = "shape = 'table'\ntable = [[0, 1], ['5ep', 0.5]]\n";
  EXPECT_DOUBLE_EQ(RateAt(Request(table), 2'500), 1);
  EXPECT_DOUBLE_EQ(RateAt(Request(table + "interpolation = 'linear'"), 2'500), 0.75);
  EXPECT_DOUBLE_EQ(RateAt(Request("shape = 'constant'\nlearning_rate = 1\nwarmup = '2ep'\nwarmup_start = 0.5"), 1'000),
                   0.75);
}

TEST(PlanRequest, TakesTheReferencesRateAndMomentumWhereTheRunSaysNothing) {
  const std::string reference =
      "shape = 'table'\ntable = [[0, 0.1], ['2ep', 0.4], ['5ep', 0.2]]\nmomentum = 0.8\n"
      "momentum_table = [['5ep', 0.9]]";
  const auto request = Request(reference);
  EXPECT_EQ(request.learning_rate, 0.4);  // the largest of the table
  EXPECT_EQ(request.momentum.At(Examples{0}), 0.8);
  EXPECT_EQ(request.momentum.At(Examples{5'000}), 0.9);

  const auto own = Request(reference, "learning_rate = 2\nmomentum = 0.7");
  EXPECT_EQ(own.learning_rate, 2);
  EXPECT_EQ(own.momentum.At(Examples{5'000}), 0.7);  // the reference's table is not this run's
  EXPECT_EQ(own.reference.momentum.At(Examples{5'000}), 0.9);

  const auto table = Request(reference, "momentum_table = [['1ep', 0.6]]");
  EXPECT_EQ(table.momentum.At(Examples{0}), 0.8);
  EXPECT_EQ(table.momentum.At(Examples{5'000}), 0.6);
}

TEST(PlanRequest, CarriesTheChoicesOfTheRun) {
  const auto request =
      Request("shape = 'linear'\nglobal_batch = 64",
              "max_batch = 'N/4'\nat_cap = 'hold'\nrounding = 'power'\ngrowth_factor = 4\nhysteresis = 0.5\n"
              "rule = 'sqrt'\nnoise_form = 'exact'\nepoch_tail = 'short'\nboundary = 'cut'\n"
              "momentum_buffer = 'reset'\n[optimizer]\nname = 'adam'");
  EXPECT_EQ(request.train_examples, Examples{1000});
  EXPECT_EQ(request.reference.global_batch, Examples{64});
  EXPECT_EQ(request.policy, schedule::Policy::kGrow);
  EXPECT_EQ(request.max_batch, Examples{250});
  EXPECT_EQ(request.at_cap, schedule::AtCap::kHold);
  EXPECT_EQ(request.rounding, schedule::Rounding::kPower);
  EXPECT_EQ(request.growth_factor, 4);
  EXPECT_EQ(request.hysteresis, 0.5);
  EXPECT_EQ(request.law.rule, schedule::ScalingRule::kSquareRoot);
  EXPECT_EQ(request.law.form, schedule::NoiseForm::kExact);
  EXPECT_EQ(request.epoch_tail, schedule::EpochTail::kShort);
  EXPECT_EQ(request.boundary, schedule::Boundary::kCut);
  EXPECT_EQ(request.momentum_buffer, schedule::MomentumBuffer::kReset);
  EXPECT_EQ(Request("shape = 'linear'", "rounding = 'multiple'\nbatch_multiple = 32").batch_multiple, 32);
}

TEST(PlanRequest, RefusesPositionsThatContradictForThisTrainingSet) {
  EXPECT_THROW(Request("boundaries = ['9ep', '8ksp']"), UserError);
}

}  // namespace
}  // namespace crescendo::config
