// run.reproducible: equal bits for any number of workers, micro-batch, loader threads and place of a stop.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "tests/equivalence/small_run.h"
#include "tests/support/test_device.h"

namespace crescendo {
namespace {

using support::LargestDifference;
using support::Rounding;
using support::RunOnWorkers;
using support::RunResult;
using support::RunSmall;

class Reproducible : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { at::set_num_threads(1); }

  static RunResult Run(std::vector<std::string> overrides, const std::string& micro_batch) {
    overrides.emplace_back("run.reproducible=true");
    overrides.emplace_back(micro_batch);
    return RunSmall(overrides);
  }
};

using ReproducibleWorkers = support::SeveralWorkers;

// Each kind with batches of 8, 16 and 32, which ghosts of 4 or of 5 (whose sizes differ) cut in different ways.
TEST_F(Reproducible, MicroBatchesChangeNoBit) {
  const std::vector<std::vector<std::string>> kinds = {
      {},
      {"run.precision=bf16"},
      {"model.ghost_batch=5"},
      {"model.name=mlp", "model.hidden=[32]"},
      {"model.name=mlp", "model.hidden=[32]", "model.batch_norm=false", "optimizer.name=adam",
       "reference.learning_rate=0.003"},
  };
  for (const std::vector<std::string>& kind : kinds) {
    const RunResult whole = Run(kind, "run.micro_batch=1000");
    for (const char* parts : {"run.micro_batch=5", "run.micro_batch=8", "run.micro_batch=12"}) {
      const RunResult split = Run(kind, parts);
      EXPECT_EQ(LargestDifference(whole, split), 0) << (kind.empty() ? "" : kind.back()) << " " << parts;
      for (size_t i = 0; i < whole.memory.updates.size(); ++i) {
        ASSERT_EQ(whole.memory.updates[i].loss, split.memory.updates[i].loss) << parts << ", update " << i;
      }
    }
  }
}

// Shares are uneven, and at a batch of two ghosts the last workers have none.
TEST_F(ReproducibleWorkers, ChangeNoBit) {
  const std::vector<std::vector<std::string>> kinds = {
      {"run.reproducible=true"},
      {"run.reproducible=true", "model.ghost_batch=5"},
      {"run.reproducible=true", "model.name=mlp", "model.hidden=[32]", "model.batch_norm=false", "optimizer.name=adam",
       "reference.learning_rate=0.003"},
  };
  for (const std::vector<std::string>& kind : kinds) {
    const RunResult alone = RunSmall(kind);
    for (const int64_t workers : {2, 3, 4}) {
      const RunResult together = RunOnWorkers(workers, kind);
      EXPECT_EQ(LargestDifference(alone, together), 0) << workers << " workers, " << kind.back();
      ASSERT_EQ(alone.memory.updates.size(), together.memory.updates.size());
      for (size_t i = 0; i < alone.memory.updates.size(); ++i) {
        ASSERT_EQ(alone.memory.updates[i].loss, together.memory.updates[i].loss) << workers << ", update " << i;
      }
    }
  }
}

TEST_F(Reproducible, LoaderThreadsAndPrefetchChangeNoBit) {
  const RunResult plain = Run({}, "run.micro_batch=8");
  EXPECT_EQ(LargestDifference(plain, Run({"data.threads=3", "data.prefetch=7"}, "run.micro_batch=4")), 0);
}

// The same sums as in normal mode, in another order.
TEST_F(Reproducible, DiffersFromNormalModeByRoundingAlone) {
  const std::vector<std::string> slow = {"reference.learning_rate=0.005"};
  const RunResult normal = RunSmall(slow);
  const RunResult reproducible = Run(slow, "run.micro_batch=8");
  EXPECT_GT(LargestDifference(normal, reproducible), 0);
  EXPECT_LT(LargestDifference(normal, reproducible), Rounding(1e-4));
}

// A batch of one row has no variance: it leaves the running statistics as they are, in both modes.
TEST_F(Reproducible, ABatchOfOneRowIsTreatedAsInNormalMode) {
  const std::vector<std::string> one_left = {"model.name=mlp",        "model.hidden=[8]",
                                             "schedule.length=17sp",  "reference.boundaries=[\"16sp\"]",
                                             "schedule.policy=decay", "reference.learning_rate=0.005"};
  const RunResult reproducible = Run(one_left, "run.micro_batch=8");
  EXPECT_EQ(reproducible.memory.updates.back().setting.global_batch, schedule::Examples{1});
  EXPECT_LT(LargestDifference(RunSmall(one_left), reproducible), Rounding(1e-5));
}

}  // namespace
}  // namespace crescendo
