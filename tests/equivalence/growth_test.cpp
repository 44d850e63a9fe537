// Workers that grow with the batch learn what any fixed number of them learns.
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <mutex>
#include <thread>

#include "crescendo/base/error.h"
#include "crescendo/train/growth.h"
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
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Batches of 8, 16 and 32, of ghosts of 4.
std::vector<std::string> Growing(std::vector<std::string> overrides, int64_t worker_batch = 8) {
  overrides.emplace_back("run.workers=grow");
  overrides.push_back(fmt::format("run.worker_batch={}", worker_batch));
  return overrides;
}

using Growth = support::SeveralWorkers;

TEST_F(Growth, OneTwoThreeWorkersDifferFromAFixedNumberByTheOrderOfSums) {
  const std::vector<std::string> slow = {"reference.learning_rate=0.005"};
  const RunResult alone = RunSmall(slow);
  const RunResult three = RunOnWorkers(3, slow);
  const RunResult grown = RunOnWorkers(3, Growing(slow));
  EXPECT_THAT(grown.memory.workers, ElementsAre(1, 2, 3));
  EXPECT_LT(LargestDifference(alone, grown), 1e-4);
  EXPECT_LT(LargestDifference(three, grown), 1e-4);
  ASSERT_EQ(grown.memory.updates.size(), alone.memory.updates.size());
  for (size_t i = 0; i < alone.memory.updates.size(); ++i) {
    const report::UpdateRecord& one = alone.memory.updates[i];
    const report::UpdateRecord& many = grown.memory.updates[i];
    EXPECT_EQ(one.setting.begin, many.setting.begin);
    EXPECT_EQ(one.setting.global_batch, many.setting.global_batch);
    EXPECT_EQ(one.setting.learning_rate, many.setting.learning_rate);
    EXPECT_NEAR(one.loss, many.loss, 1e-5) << "update " << i;
    const size_t expected[] = {0, 2, 3};  // a run of one says nothing of workers
    EXPECT_EQ(many.workers.size(), expected[many.setting.phase]) << "update " << i;
  }
  ASSERT_EQ(grown.memory.evaluations.size(), alone.memory.evaluations.size());
  EXPECT_NEAR(grown.memory.evaluations.back().loss, alone.memory.evaluations.back().loss, 1e-4);
}

// Until others come, one worker computes what it computes alone, and nothing is sent or rounded.
TEST_F(Growth, FirstPhaseIsThatOfOneWorkerInItsBits) {
  const RunResult alone = RunSmall({});
  const RunResult grown = RunOnWorkers(2, Growing({}));
  for (size_t i = 0; i < 25; ++i) {
    ASSERT_EQ(alone.memory.updates[i].setting.phase, 0);
    EXPECT_EQ(alone.memory.updates[i].loss, grown.memory.updates[i].loss) << "update " << i;
  }
}

// The optimizer's memory and counters, the running statistics and, of a momentum that changes together with the number
// of workers, what the last update used, all come from worker 0; the loader is far ahead where the shares change.
TEST_F(Growth, ChangesNoBitOfAReproducibleRun) {
  const std::vector<std::vector<std::string>> kinds = {
      {},
      {"model.ghost_batch=5"},
      {"data.threads=3", "data.prefetch=64", "run.micro_batch=4"},
      {"schedule.momentum_buffer=rescale", R"(schedule.momentum_table=[["1ep", 0.95]])"},
      {"model.name=mlp", "model.hidden=[32]", "model.batch_norm=false", "optimizer.name=adam",
       "reference.learning_rate=0.003"},
      {"schedule.epoch_tail=drop"},
  };
  for (std::vector<std::string> kind : kinds) {
    kind.insert(kind.begin(), "run.reproducible=true");
    const RunResult alone = RunSmall(kind);
    const RunResult grown = RunOnWorkers(3, Growing(kind));
    SCOPED_TRACE(kind.back());
    EXPECT_EQ(grown.memory.workers.back(), 3);
    EXPECT_EQ(LargestDifference(alone, grown), 0);
    ASSERT_EQ(alone.memory.updates.size(), grown.memory.updates.size());
    for (size_t i = 0; i < alone.memory.updates.size(); ++i) {
      ASSERT_EQ(alone.memory.updates[i].loss, grown.memory.updates[i].loss) << "update " << i;
    }
  }
}

// Two from the start, then four: a group of several is left for a larger one.
TEST_F(Growth, TwoThenFour) {
  const std::vector<std::string> reproducible = {"run.reproducible=true"};
  const RunResult grown = RunOnWorkers(4, Growing(reproducible, 4));
  EXPECT_THAT(grown.memory.workers, ElementsAre(2, 4));
  EXPECT_EQ(LargestDifference(RunSmall(reproducible), grown), 0);
}

// The batch falls again at a warm restart; those who have come stay, and the later ones have no share.
TEST_F(Growth, NobodyLeavesWhereTheBatchFalls) {
  const std::vector<std::string> restarts = {"run.reproducible=true", "reference.shape=restarts",
                                             "reference.period=1ep", "schedule.hysteresis=0", "schedule.max_batch=32"};
  const RunResult alone = RunSmall(restarts);
  const RunResult grown = RunOnWorkers(3, Growing(restarts));
  EXPECT_THAT(grown.memory.workers, ElementsAre(1, 2, 3));
  EXPECT_LT(grown.memory.updates.back().setting.global_batch, Examples{24});
  EXPECT_EQ(LargestDifference(alone, grown), 0);
}

struct Ended {
  std::vector<report::RunFooter> footers;  // of those that computed, in any order
  int waiting = 0;                         // those whose turn never came
};

// Of three workers, `stopped` is sent a signal once the run has come to update `at`.
Ended StopAt(int64_t at, int64_t stopped) {
  struct Watcher : train::Observer {
    void OnUpdate(const report::UpdateRecord& record) override {
      if (record.setting.update < schedule::Updates{at}) return;
      *stop = 15;
      // One that waits looks up now and then, and tells it on: meanwhile this small run could come to the next phase.
      while (stopped >= parts->group->size() && parts->all_workers->signal_of_waiting() == 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
    int64_t at = 0;
    int64_t stopped = 0;
    std::atomic<int>* stop = nullptr;
    const train::Parts* parts = nullptr;
  };
  std::mutex mutex;
  Ended ended;
  std::array<std::atomic<int>, 3> stops{};
  WithWorkers(3, Growing({}), [&](train::Parts& parts) {
    const auto rank = static_cast<size_t>(parts.group->rank());
    const auto start = train::JoinWork(parts, {}, stops[rank]);
    if (!start) {
      const std::lock_guard lock(mutex);
      ++ended.waiting;
      return;
    }
    Watcher watcher;
    watcher.at = at;
    watcher.stopped = stopped;
    watcher.parts = &parts;
    watcher.stop = &stops[static_cast<size_t>(stopped)];
    std::vector<train::Observer*> observers;
    if (rank == 0) observers.push_back(&watcher);
    train::Trainer trainer(parts, Examples{8}, observers, stops[rank], *start);
    trainer.Train();
    const std::lock_guard lock(mutex);
    ended.footers.push_back(trainer.Close());
  });
  return ended;
}

TEST_F(Growth, SignalToAnyWorkerStopsAllAtTheSameUpdateAndEndsTheWaiting) {
  struct Case {
    int64_t at;
    int64_t stopped;
    size_t computing;
  };
  // Phases begin with updates 25 and 38. A worker that waits passes the signal on.
  for (const Case& c : {Case{3, 0, 1}, Case{3, 2, 1}, Case{28, 0, 2}, Case{28, 1, 2}, Case{40, 2, 3}}) {
    const Ended ended = StopAt(c.at, c.stopped);
    SCOPED_TRACE(fmt::format("signal to worker {} at update {}", c.stopped, c.at));
    ASSERT_EQ(ended.footers.size(), c.computing);
    EXPECT_EQ(ended.waiting, 3 - static_cast<int>(c.computing));
    for (const report::RunFooter& footer : ended.footers) {
      EXPECT_EQ(footer.end, report::RunEnd::kInterrupted);
      EXPECT_EQ(footer.stop_signal, 15);
      EXPECT_EQ(footer.updates, ended.footers.front().updates);
    }
  }
}

// A worker that fails while it waits ends the run at once, with its words, and not when its turn has come.
TEST_F(Growth, FailureOfAWaitingWorkerEndsAll) {
  std::mutex mutex;
  std::vector<std::string> reasons;
  std::atomic<int> built = 0;
  WithWorkers(3, Growing({"schedule.length=100000ep"}), [&](train::Parts& parts) {
    const std::atomic<int> stop = 0;
    ++built;
    if (parts.group->rank() == 2) {
      while (built < 3) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      parts.group->Abandon("the disk is gone");
      return;
    }
    std::string reason;
    try {
      const auto start = train::JoinWork(parts, {}, stop);
      train::Trainer trainer(parts, Examples{8}, {}, stop, start.value());
      EXPECT_EQ(trainer.Train(), report::RunEnd::kInterrupted);
      EXPECT_TRUE(trainer.at_boundary());
      reason = trainer.Close().reason;
    } catch (const distributed::WorkerLost& error) {
      reason = error.what();
    }
    const std::lock_guard lock(mutex);
    reasons.push_back(reason);
  });
  ASSERT_EQ(reasons.size(), 2);
  EXPECT_THAT(reasons, Each(AllOf(HasSubstr("worker 2 (process"), HasSubstr("failed: the disk is gone"))));
}

}  // namespace
}  // namespace crescendo
