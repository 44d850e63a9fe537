// The trainer does what the plan says.
#include <ATen/Parallel.h>
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "crescendo/base/error.h"
#include "crescendo/config/load.h"
#include "crescendo/train/trainer.h"
#include "tests/equivalence/small_run.h"

namespace crescendo {
namespace {

using support::Memory;
using support::RunResult;
using support::RunSmall;
using ::testing::AllOf;
using ::testing::HasSubstr;

class TrainerTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { at::set_num_threads(1); }
};

TEST_F(TrainerTest, EveryUpdateUsesThePlansSetting) {
  const RunResult run = RunSmall({});
  const schedule::Plan plan = train::BuildPlan(support::SmallOptions({}));
  ASSERT_EQ(static_cast<int64_t>(run.memory.updates.size()), plan.total_updates().value());
  for (const report::UpdateRecord& record : run.memory.updates) {
    const schedule::Setting planned = plan.At(record.setting.update);
    EXPECT_EQ(record.setting.global_batch, planned.global_batch);
    EXPECT_EQ(record.setting.learning_rate, planned.learning_rate);
    EXPECT_EQ(record.setting.begin, planned.begin);
  }
  EXPECT_EQ(run.memory.footers.at(0).examples, schedule::Examples{660});
  EXPECT_EQ(run.memory.footers.at(0).end, report::RunEnd::kFinished);
}

TEST_F(TrainerTest, RecordsTheFirstAndLastUpdateOfEachPhaseHoweverSeldomItRecords) {
  const schedule::Plan plan = train::BuildPlan(support::SmallOptions({}));
  std::vector<int64_t> expected;
  for (const schedule::Phase& phase : plan.phases()) {
    expected.push_back(phase.begin_update.value());
    expected.push_back((phase.begin_update + phase.updates).value() - 1);
  }
  std::vector<int64_t> recorded;
  for (const report::UpdateRecord& record : RunSmall({"run.log_every=1000"}).memory.updates) {
    recorded.push_back(record.setting.update.value());
  }
  EXPECT_EQ(recorded, expected);
}

TEST_F(TrainerTest, RecordedLossesAreMeansOverTheExamplesSinceTheRecordBefore) {
  const std::vector<report::UpdateRecord> all = RunSmall({}).memory.updates;
  const std::vector<report::UpdateRecord> some = RunSmall({"run.log_every=7"}).memory.updates;
  ASSERT_LT(some.size(), all.size() / 3);
  size_t next = 0;
  for (const report::UpdateRecord& record : some) {
    double sum = 0;
    double examples = 0;
    for (; next < all.size() && all[next].setting.update <= record.setting.update; ++next) {
      const auto batch = static_cast<double>(all[next].setting.global_batch.value());
      sum += batch * all[next].loss;
      examples += batch;
    }
    EXPECT_NEAR(record.loss, sum / examples, 1e-9) << "update " << record.setting.update.value();
  }
  EXPECT_EQ(next, all.size());
}

TEST_F(TrainerTest, EvaluatesAtTheGivenPositionsAndAtTheEnd) {
  const RunResult run = RunSmall({"run.evaluate_every=1ep"});
  std::vector<double> epochs;
  for (const report::EvaluationRecord& record : run.memory.evaluations) epochs.push_back(std::floor(record.epoch));
  EXPECT_EQ(epochs, (std::vector<double>{1, 2, 3, 3}));
  EXPECT_EQ(run.memory.evaluations.back().accuracy, run.memory.footers.at(0).final_evaluation.accuracy);
}

TEST_F(TrainerTest, ScheduleOfGrowingBatchesLearns) {
  const RunResult run = RunSmall({"schedule.length=12ep", "reference.boundaries=[\"6ep\",\"9ep\"]"});
  EXPECT_GT(run.memory.footers.at(0).final_evaluation.accuracy, 0.6);  // chance: 0.25
  EXPECT_LT(run.memory.updates.back().loss, 0.5 * run.memory.updates.front().loss);
}

// Growing the batch is not the same computation as decaying the rate, so the weights differ; the claim is about what is
// learned. Here: that both policies see the same examples in the same order.
TEST_F(TrainerTest, PoliciesDifferInTheScheduleOnly) {
  const RunResult grow = RunSmall({});
  const RunResult decay = RunSmall({"schedule.policy=decay"});
  EXPECT_EQ(grow.memory.updates.front().loss, decay.memory.updates.front().loss);
  EXPECT_LT(grow.memory.updates.size(), decay.memory.updates.size());
  EXPECT_EQ(grow.memory.footers.at(0).examples, decay.memory.footers.at(0).examples);
}

TEST_F(TrainerTest, LossThatIsNotFiniteEndsTheRunBeforeItReachesTheWeights) {
  const RunResult run = RunSmall({"reference.learning_rate=1e5", "schedule.learning_rate=1e5"});
  const report::RunFooter& footer = run.memory.footers.at(0);
  EXPECT_EQ(footer.end, report::RunEnd::kFailed);
  EXPECT_THAT(footer.reason, HasSubstr("at update"));
  EXPECT_THAT(footer.reason, HasSubstr("phase 1 of 3"));
  EXPECT_THAT(footer.reason, HasSubstr("the last good loss was"));
}

// The forward pass of the failing update has advanced them, by what may be no numbers.
TEST_F(TrainerTest, RunningStatisticsOfAFailedUpdateAreTakenBack) {
  train::Parts parts = train::Build(config::LoadText(support::kSmallConfig, "small.toml", {}));
  struct PoisonAfterFive : Memory {
    explicit PoisonAfterFive(nn::Model& poisoned) : model(poisoned) {}
    void OnUpdate(const report::UpdateRecord& record) override {
      Memory::OnUpdate(record);
      if (updates.size() != 5) return;
      for (const nn::NamedTensor& buffer : model.buffers()) statistics.push_back(buffer.value.clone());
      model.parameters().front().value.detach().fill_(NAN);
    }
    nn::Model& model;
    std::vector<at::Tensor> statistics;
  } memory(*parts.model);
  const std::atomic<int> stop = 0;
  train::Trainer trainer(parts, schedule::Examples{8}, {&memory}, stop);
  EXPECT_EQ(trainer.Train(), report::RunEnd::kFailed);
  EXPECT_THAT(trainer.Close().reason, AllOf(HasSubstr("the loss is nan at update 6"), HasSubstr("at update 5")));
  ASSERT_EQ(memory.statistics.size(), parts.model->buffers().size());
  for (size_t i = 0; i < memory.statistics.size(); ++i) {
    EXPECT_TRUE(at::equal(memory.statistics[i], parts.model->buffers()[i].value));
  }
}

// An observer that fails is a full disk, or a terminal's end: the run ends, and everyone else hears why.
TEST_F(TrainerTest, WhatGoesWrongOnTheWayEndsTheRunAndIsNotThrown) {
  train::Parts parts = train::Build(config::LoadText(support::kSmallConfig, "small.toml", {}));
  struct FullDisk : Memory {
    void OnUpdate(const report::UpdateRecord& record) override {
      Memory::OnUpdate(record);
      if (updates.size() == 3) throw RunError("cannot write: no space");
    }
  } full;
  Memory other;
  const std::atomic<int> stop = 0;
  train::Trainer trainer(parts, schedule::Examples{8}, {&full, &other}, stop);
  EXPECT_EQ(trainer.Train(), report::RunEnd::kFailed);
  const report::RunFooter footer = trainer.Close();
  EXPECT_EQ(footer.reason, "cannot write: no space");
  EXPECT_EQ(footer.updates, schedule::Updates{3});
  EXPECT_EQ(other.footers.at(0).reason, footer.reason);
}

TEST_F(TrainerTest, StopIsHonouredBetweenMicroBatchesAndLeavesWholeUpdates) {
  train::Parts parts = train::Build(support::SmallOptions({}));
  std::atomic<int> stop = 0;
  struct StopAfterFive : Memory {
    explicit StopAfterFive(std::atomic<int>& flag) : stop(flag) {}
    void OnUpdate(const report::UpdateRecord& record) override {
      Memory::OnUpdate(record);
      if (updates.size() == 5) stop = 15;
    }
    std::atomic<int>& stop;
  } memory(stop);
  train::Trainer trainer(parts, schedule::Examples{8}, {&memory}, stop);
  EXPECT_EQ(trainer.Train(), report::RunEnd::kInterrupted);
  const report::RunFooter footer = trainer.Close();
  EXPECT_EQ(footer.updates, schedule::Updates{5});
  EXPECT_EQ(footer.examples, schedule::Examples{40});
  EXPECT_EQ(memory.evaluations.size(), 0);
}

// Momentum 0.9 to 0.5 at epoch 1: the three cases must differ from each other from then on, and not before.
TEST_F(TrainerTest, MomentumBufferIsKeptRescaledOrResetAtChanges) {
  const auto run = [](const char* buffer) {
    return RunSmall({"schedule.policy=decay", R"(schedule.momentum_table=[["1ep", 0.5]])", buffer});
  };
  const RunResult keep = run("schedule.momentum_buffer=keep");
  const RunResult rescale = run("schedule.momentum_buffer=rescale");
  const RunResult reset = run("schedule.momentum_buffer=reset");
  const auto loss = [](const RunResult& r, size_t update) { return r.memory.updates[update].loss; };
  EXPECT_EQ(loss(keep, 25),
            loss(reset, 25));  // update 25 is the first after the change; its loss is from before its step
  EXPECT_EQ(loss(keep, 25), loss(rescale, 25));
  EXPECT_NE(loss(keep, 26), loss(reset, 26));
  EXPECT_NE(loss(keep, 26), loss(rescale, 26));
  EXPECT_NE(loss(reset, 26), loss(rescale, 26));
}

TEST_F(TrainerTest, EveryOptimizerTrains) {
  for (const char* name : {"sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop", "lars", "lamb"}) {
    const bool adaptive =
        std::string(name).starts_with("adam") || std::string(name) == "lamb" || std::string(name) == "rmsprop";
    const bool lars = std::string(name) == "lars";
    const std::string momentum = std::string(name) == "sgd" ? "0" : std::string(name) == "rmsprop" ? "0.0" : "0.9";
    const RunResult run = RunSmall({std::string("optimizer.name=") + name, "reference.momentum=" + momentum,
                                    std::string("reference.learning_rate=") + (adaptive ? "0.003"
                                                                               : lars   ? "5"
                                                                                        : "0.05")});
    const auto& updates = run.memory.updates;
    ASSERT_EQ(run.memory.footers.at(0).end, report::RunEnd::kFinished) << name;
    EXPECT_LT(updates.back().loss, updates.front().loss) << name;
  }
}

}  // namespace
}  // namespace crescendo
