// The run does not depend on how many workers compute it. The workers here are threads, each with a trainer and a group
// of its own over loopback; tests/workers/ runs processes.
#include <ATen/Parallel.h>
#include <ATen/ops/cat.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <mutex>

#include "crescendo/base/error.h"
#include "crescendo/config/load.h"
#include "crescendo/data/loader.h"
#include "crescendo/train/evaluate.h"
#include "crescendo/train/micro_batch.h"
#include "crescendo/train/trainer.h"
#include "tests/equivalence/small_run.h"

namespace crescendo {
namespace {

using schedule::Examples;
using support::LargestDifference;
using support::RunOnWorkers;
using support::RunResult;
using support::RunSmall;
using support::WithWorkers;
using ::testing::AllOf;
using ::testing::HasSubstr;

using Workers = support::SeveralWorkers;

// The examples of each update, as the workers together see them: inputs (cropped, mirrored) and labels, in order.
std::vector<at::Tensor> ExamplesOfUpdates(const config::Options& options, const data::Dataset& train,
                                          const schedule::Plan& plan, int64_t workers, int64_t micro_batch) {
  data::Loader loader(train, options.data, static_cast<uint64_t>(options.run.seed));
  std::vector<at::Tensor> updates;
  for (schedule::Plan::Cursor cursor(plan); !cursor.AtEnd(); cursor.Advance()) {
    std::vector<at::Tensor> parts;
    for (int64_t rank = 0; rank < workers; ++rank) {
      const schedule::RankShare share =
          schedule::ShareOfRank(cursor.setting().global_batch, Examples{options.model.ghost_batch}, rank, workers);
      for (const schedule::MicroBatch& part : schedule::SplitIntoMicroBatches(share, Examples{micro_batch})) {
        loader.Request({cursor.setting().begin + part.begin, part.size.value()});
        const data::Batch batch = loader.Take();
        parts.push_back(at::cat({batch.inputs.flatten(1), batch.labels.to(at::kFloat).unsqueeze(1)}, 1));
      }
    }
    updates.push_back(at::cat(parts));
  }
  return updates;
}

// The overrides of a run with each shape of the reference, and with each other choice that changes where batches begin.
std::vector<std::vector<std::string>> EverySchedule() {
  const std::map<config::Shape, std::vector<std::string>> needs = {
      {config::Shape::kRestarts, {"reference.period=1ep"}},
      {config::Shape::kOneCycle, {"reference.rise=1ep"}},
      {config::Shape::kTrapezoid, {"reference.decay_begin=1ep"}},
      {config::Shape::kInverseSqrt, {"reference.decay_begin=1ep"}},
      {config::Shape::kTable, {R"(reference.table=[["0ep", 0.05], ["1ep", 0.01]])"}}};
  std::vector<std::vector<std::string>> schedules = {{},
                                                     {"schedule.policy=decay"},
                                                     {"schedule.max_batch=16"},
                                                     {"schedule.learning_rate=0.1", "schedule.momentum=0.95"},
                                                     {"reference.warmup=1ep"},
                                                     {"schedule.rounding=multiple", "schedule.batch_multiple=12"},
                                                     {"schedule.epoch_tail=short"},
                                                     {"schedule.epoch_tail=drop"},
                                                     {"schedule.boundary=cut"}};
  for (const auto& shape : kEnumCases<config::Shape>) {
    std::vector<std::string> schedule = {fmt::format("reference.shape={}", shape.name), "schedule.hysteresis=0",
                                         "schedule.max_batch=50"};
    if (const auto found = needs.find(shape.value); found != needs.end()) {
      schedule.insert(schedule.end(), found->second.begin(), found->second.end());
    }
    schedules.push_back(std::move(schedule));
  }
  return schedules;
}

TEST_F(Workers, SeeTheSameExamplesInTheSameOrderUnderEverySchedule) {
  for (const auto& schedule : EverySchedule()) {
    SCOPED_TRACE(fmt::format("{}", fmt::join(schedule, " ")));
    const config::Options options = support::SmallOptions(schedule);
    const schedule::Plan plan = train::BuildPlan(options);
    const data::DatasetPair data = data::LoadDatasets(options.data, 1);
    const auto alone = ExamplesOfUpdates(options, data.train, plan, 1, 1000);
    for (const int64_t workers : {1, 2, 3, 4}) {
      for (const int64_t micro_batch : {4, 8, 1000}) {
        const auto together = ExamplesOfUpdates(options, data.train, plan, workers, micro_batch);
        ASSERT_EQ(together.size(), alone.size());
        for (size_t i = 0; i < alone.size(); ++i) {
          ASSERT_TRUE(together[i].equal(alone[i]))
              << fmt::format("update {} of {} workers with micro-batches of {}", i, workers, micro_batch);
        }
      }
    }
  }
}

// What a worker adds up differs in the order of additions and in nothing else; see MicroBatchesChangeOnlyTheOrderOfSums
// for the bound. The batches are of 2, 4 and 8 ghosts and the last update is short: with 3 and 4 workers some have no
// examples at times, and shares are uneven.
TEST_F(Workers, ChangeOnlyTheOrderOfSums) {
  const std::vector<std::string> slow = {"reference.learning_rate=0.005", "run.evaluate_every=1ep"};
  const RunResult alone = RunSmall(slow);
  for (const int64_t workers : {2, 3, 4}) {
    for (const char* micro_batch : {"run.micro_batch=4", "run.micro_batch=8", "run.micro_batch=1000"}) {
      std::vector<std::string> overrides = slow;
      overrides.emplace_back(micro_batch);
      const RunResult together = RunOnWorkers(workers, overrides);
      SCOPED_TRACE(fmt::format("{} workers, {}", workers, micro_batch));
      EXPECT_LT(LargestDifference(alone, together), 1e-4);
      ASSERT_EQ(together.memory.updates.size(), alone.memory.updates.size());
      for (size_t i = 0; i < alone.memory.updates.size(); ++i) {
        const report::UpdateRecord& one = alone.memory.updates[i];
        const report::UpdateRecord& many = together.memory.updates[i];
        EXPECT_EQ(one.setting.learning_rate, many.setting.learning_rate);
        EXPECT_EQ(one.setting.global_batch, many.setting.global_batch);
        EXPECT_EQ(one.setting.begin, many.setting.begin);
        EXPECT_NEAR(one.loss, many.loss, 1e-5) << "update " << i;
      }
      ASSERT_EQ(together.memory.evaluations.size(), alone.memory.evaluations.size());
      EXPECT_NEAR(together.memory.evaluations.back().loss, alone.memory.evaluations.back().loss, 1e-4);
    }
  }
}

TEST_F(Workers, SameNumberOfThemGivesTheSameBits) {
  EXPECT_EQ(LargestDifference(RunOnWorkers(3, {}), RunOnWorkers(3, {})), 0);
}

// From the same weights the bound is rounding alone, also of the running statistics.
TEST_F(Workers, OneUpdateTogetherIsTheUpdateOfOne) {
  const std::vector<std::string> one_update = {"schedule.length=30sp", "reference.global_batch=30",
                                               "reference.boundaries=[\"29sp\"]", "schedule.policy=decay"};
  const RunResult alone = RunSmall(one_update);
  ASSERT_EQ(alone.memory.updates.size(), 1);
  for (const int64_t workers : {2, 3, 4, 8}) {
    EXPECT_LT(LargestDifference(alone, RunOnWorkers(workers, one_update)), 2e-6) << workers;
  }
}

// Without ghosts there is nothing but sums; and a last update of one row, which has no statistics and is normalised by
// the running ones, leaves most workers without examples.
TEST_F(Workers, TablesAndAnUpdateOfOneExample) {
  for (const char* batch_norm : {"model.batch_norm=true", "model.batch_norm=false"}) {
    const std::vector<std::string> table = {"model.name=mlp",
                                            "model.hidden=[8]",
                                            batch_norm,
                                            "schedule.length=33sp",
                                            "schedule.policy=decay",
                                            "reference.shape=constant",
                                            "reference.learning_rate=0.01"};
    const RunResult alone = RunSmall(table);
    ASSERT_EQ(alone.memory.updates.size(), 5);
    EXPECT_EQ(alone.memory.updates.back().setting.global_batch, Examples{1});
    for (const int64_t workers : {2, 3}) {
      EXPECT_LT(LargestDifference(alone, RunOnWorkers(workers, table)), 1e-5) << workers << " " << batch_norm;
    }
  }
}

TEST_F(Workers, EvaluationIsTheSameNumberForAnyNumber) {
  const std::vector<std::string> several_chunks = {"data.test_examples=1300"};
  train::Parts parts = train::Build(support::SmallOptions(several_chunks));
  const auto evaluate = [](train::Parts& p) {
    return train::Evaluate(*p.model, p.data.test, p.device, config::Precision::kFp32, *p.group);
  };
  const train::Evaluation alone = evaluate(parts);
  EXPECT_EQ(alone.examples, 1300);
  for (const int64_t workers : {2, 3, 5}) {
    WithWorkers(workers, several_chunks, [&](train::Parts& of_worker) {
      const train::Evaluation together = evaluate(of_worker);
      EXPECT_EQ(together.loss, alone.loss);
      EXPECT_EQ(together.accuracy, alone.accuracy);
      EXPECT_EQ(together.examples, 1300);
    });
  }
}

TEST_F(Workers, OnlyWorker0IsWatchedAndItsRecordsTellOfAll) {
  const RunResult run = RunOnWorkers(2, {"run.log_every=5"});
  ASSERT_FALSE(run.memory.updates.empty());
  for (const report::UpdateRecord& record : run.memory.updates) {
    ASSERT_EQ(record.workers.size(), 2);
    for (const report::WorkerRecord& worker : record.workers) {
      EXPECT_GE(worker.examples_per_second, 0);
      EXPECT_GE(worker.loader_wait_seconds, 0);
      EXPECT_GE(worker.group_wait_seconds, 0);
    }
  }
  EXPECT_GT(run.memory.updates.back().workers[1].examples_per_second, 0);
  EXPECT_TRUE(RunSmall({}).memory.updates.back().workers.empty());
}

TEST_F(Workers, SignalToOneStopsAllAtTheSameUpdate) {
  std::mutex mutex;
  std::vector<report::RunFooter> footers;
  WithWorkers(3, {}, [&](train::Parts& parts) {
    std::atomic<int> stop = 0;
    if (parts.group->rank() == 1) stop = 15;
    train::Trainer trainer(parts, Examples{8}, {}, stop);
    EXPECT_EQ(trainer.Train(), report::RunEnd::kInterrupted);
    const report::RunFooter footer = trainer.Close();
    const std::lock_guard lock(mutex);
    footers.push_back(footer);
  });
  ASSERT_EQ(footers.size(), 3);
  for (const report::RunFooter& footer : footers) {
    EXPECT_EQ(footer.updates, footers.front().updates);
    EXPECT_EQ(footer.reason, "stopped by signal 15");
    EXPECT_EQ(footer.stop_signal, 15);
  }
}

TEST_F(Workers, LossThatIsNotFiniteEndsAllAtTheSameUpdate) {
  std::mutex mutex;
  std::vector<report::RunFooter> footers;
  const std::vector<std::string> wild = {"reference.learning_rate=1e5", "schedule.learning_rate=1e5"};
  WithWorkers(2, wild, [&](train::Parts& parts) {
    const std::atomic<int> stop = 0;
    train::Trainer trainer(parts, Examples{8}, {}, stop);
    EXPECT_EQ(trainer.Train(), report::RunEnd::kFailed);
    const std::lock_guard lock(mutex);
    footers.push_back(trainer.Close());
  });
  ASSERT_EQ(footers.size(), 2);
  EXPECT_EQ(footers[0].reason, footers[1].reason);
  EXPECT_THAT(footers[0].reason, HasSubstr("at update"));
}

TEST_F(Workers, AgreeOnAMicroBatch) {
  std::mutex mutex;
  std::vector<Examples> chosen;
  WithWorkers(3, {}, [&](train::Parts& parts) {
    parts.options.run.micro_batch.reset();
    const std::atomic<int> stop = 0;
    const Examples own = train::ChooseMicroBatch(parts, stop).size;
    const std::lock_guard lock(mutex);
    chosen.push_back(own);
  });
  EXPECT_EQ(chosen[0], chosen[1]);
  EXPECT_EQ(chosen[0], chosen[2]);
  EXPECT_GE(chosen[0], Examples{4});
}

TEST_F(Workers, ChooseNoMicroBatchWhereOneIsStopped) {
  std::mutex mutex;
  std::vector<int> signals;
  WithWorkers(3, {}, [&](train::Parts& parts) {
    parts.options.run.micro_batch.reset();
    const std::atomic<int> stop = parts.group->rank() == 1 ? 15 : 0;
    const train::MicroBatchChoice choice = train::ChooseMicroBatch(parts, stop);
    EXPECT_EQ(choice.size, Examples{0});
    const std::lock_guard lock(mutex);
    signals.push_back(choice.StopOr(stop));
  });
  EXPECT_EQ(signals, (std::vector<int>{15, 15, 15}));
}

TEST_F(Workers, ThatWouldTrainSomethingElseAreRefused) {
  const auto messages_with = [](const std::vector<std::string>& of_worker_1) {
    std::mutex mutex;
    std::vector<std::string> messages(2);
    support::RunPlaces(2, [&](const distributed::WorkerPlace& place) {
      std::string message;
      try {
        train::Build(support::SmallOptions(place.rank == 1 ? of_worker_1 : std::vector<std::string>{}), place);
      } catch (const std::exception& error) {
        message = error.what();
      }
      const std::lock_guard lock(mutex);
      messages[static_cast<size_t>(place.rank)] = message;
    });
    return messages;
  };
  const auto expect = [&](const char* override, const char* part) {
    const auto messages = messages_with({override});
    EXPECT_THAT(messages[1], HasSubstr(part));
    EXPECT_THAT(messages[0], AllOf(HasSubstr("worker 1 (process"), HasSubstr(part)));
  };
  expect("schedule.momentum=0.5", "worker 1 was started with schedule.momentum = 0.5, worker 0 with \"reference\"");
  expect("run.workers=grow", "worker 1 was started with run.workers = \"grow\", worker 0 with \"fixed\"");
  expect("run.seed=2", "run.seed = 2, worker 0 with 1");
  EXPECT_THAT(messages_with({"data.threads=2", "run.cache_memory=false"}), ::testing::Each(""));
}

// An error that only one worker has, here in its data, ends the others with its words and not with a timeout.
TEST_F(Workers, WhatOneCannotReadEndsAll) {
  std::mutex mutex;
  std::vector<std::string> messages(2);
  support::RunPlaces(2, [&](const distributed::WorkerPlace& place) {
    std::string message;
    try {
      const std::vector<std::string> missing = {"data.name=cifar10", "data.folder=/nowhere"};
      train::Build(support::SmallOptions(place.rank == 1 ? missing : std::vector<std::string>{}), place);
    } catch (const std::exception& error) {
      message = error.what();
    }
    const std::lock_guard lock(mutex);
    messages[static_cast<size_t>(place.rank)] = message;
  });
  EXPECT_THAT(messages[1], HasSubstr("/nowhere"));
  EXPECT_THAT(messages[0], AllOf(HasSubstr("worker 1 (process"), HasSubstr("failed:"), HasSubstr("/nowhere")));
}

}  // namespace
}  // namespace crescendo
