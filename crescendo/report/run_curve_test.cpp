#include "crescendo/report/run_curve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crescendo/report/plan_fixture.h"
#include "crescendo/schedule/planner.h"
#include "tests/support/temporary_folder.h"

namespace crescendo::report {
namespace {

using schedule::Policy;

// The log of a run that did what the paper's plan says, its loss 1 / epoch and a second per 1,000 examples.
RunCurve CurveOf(const schedule::PlanRequest& request, int64_t log_every = 1) {
  const support::TemporaryFolder folder;
  const schedule::Plan plan = schedule::MakePlan(request);
  RunHeader header;
  header.total_examples = plan.total_examples().value();
  header.train_examples = plan.train_examples().value();
  {
    RunLog log(folder / "run.jsonl");
    log.Header(header);
    for (schedule::Plan::Cursor cursor(plan); !cursor.AtEnd(); cursor.Advance()) {
      const schedule::Setting& setting = cursor.setting();
      if (setting.update.value() % log_every != 0 && !plan.IsAtAnEndOfItsPhase(setting)) continue;  // as the trainer
      UpdateRecord record;
      record.setting = setting;
      record.epoch = static_cast<double>(setting.end.value()) / 50'000;
      record.loss = 1 / record.epoch;
      record.seconds = static_cast<double>(setting.end.value()) / 1000;
      log.Update(record);
    }
  }
  return ReadRunCurve(folder / "run.jsonl");
}

TEST(RunCurve, KeepsEveryChangeOfTheSchedule) {
  const RunCurve curve = CurveOf(PaperRequest(Policy::kGrow, 5120));
  std::vector<double> batches;
  std::vector<double> rates;
  for (const SettingPoint& point : curve.settings) {
    batches.push_back(point.global_batch);
    rates.push_back(point.learning_rate);
  }
  EXPECT_THAT(batches, ::testing::ElementsAre(128, 640, 3200, 5120));
  EXPECT_THAT(rates, ::testing::Pointwise(::testing::DoubleNear(1e-12), {0.1, 0.1, 0.1, 0.032}));
  EXPECT_NEAR(curve.settings[1].examples, 3'000'000, 128);  // epoch 60, where the update that crosses it ends
  EXPECT_NEAR(curve.settings[1].updates, 23'438, 1);
}

TEST(RunCurve, LossesAreMeansOverAFewHundredStretches) {
  const RunCurve curve = CurveOf(PaperRequest(Policy::kDecay, 50'000));
  ASSERT_EQ(curve.losses.size(), 240);
  EXPECT_EQ(curve.losses.back().examples, 10'240'000);
  EXPECT_EQ(curve.losses.back().updates, 80'000);
  EXPECT_EQ(curve.losses.back().seconds, 10'240);
  // The last of 240 stretches of 204.8 epochs: between 1 / 203.9 and 1 / 204.8.
  EXPECT_NEAR(curve.losses.back().loss, 1 / 204.37, 1e-7);
}

TEST(RunCurve, CostsBelongToTheBatchOfThePhase) {
  const RunCurve every = CurveOf(PaperRequest(Policy::kGrow, 5120));
  const RunCurve tenth = CurveOf(PaperRequest(Policy::kGrow, 5120), 10);
  ASSERT_EQ(every.costs.size(), 4);  // the short last update is no batch of its own
  double examples = 0;
  for (const auto& [batch, cost] : every.costs) {
    examples += cost.examples;
    EXPECT_NEAR(cost.seconds, cost.examples / 1000, 1e-6);
    EXPECT_EQ(tenth.costs.at(batch).updates, cost.updates);
    EXPECT_EQ(tenth.costs.at(batch).examples, cost.examples);
  }
  EXPECT_EQ(examples, 10'240'000);
  EXPECT_NEAR(every.costs.at(640).updates, 60 * 50'000 / 640.0, 1);
}

TEST(RunCurve, ChangesStandWhereTheyWereHoweverFewUpdatesAreLogged) {
  const RunCurve every = CurveOf(PaperRequest(Policy::kGrow, 50'000));
  for (const int64_t log_every : {10, 1000}) {
    const RunCurve sampled = CurveOf(PaperRequest(Policy::kGrow, 50'000), log_every);
    ASSERT_EQ(sampled.settings.size(), every.settings.size());
    for (size_t i = 0; i < every.settings.size(); ++i) {
      EXPECT_EQ(sampled.settings[i].examples, every.settings[i].examples);
      EXPECT_EQ(sampled.settings[i].updates, every.settings[i].updates);
      EXPECT_EQ(sampled.settings[i].seconds, every.settings[i].seconds);
      EXPECT_EQ(sampled.settings[i].global_batch, every.settings[i].global_batch);
    }
  }
}

TEST(RunCurve, FollowsARateThatMovesAllTheTime) {
  const RunCurve curve = CurveOf(CosineRequest(), 20);
  EXPECT_GT(curve.settings.size(), 100);
  EXPECT_LT(curve.settings.size(), 5000);
}

}  // namespace
}  // namespace crescendo::report
