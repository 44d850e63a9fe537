// The run depends on the schedule alone, not on how it was laid out.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "tests/equivalence/small_run.h"

namespace crescendo {
namespace {

using support::LargestDifference;
using support::RunResult;
using support::RunSmall;

class Layout : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { at::set_num_threads(1); }
};

TEST_F(Layout, SameOptionsGiveTheSameBits) {
  const RunResult first = RunSmall({});
  const RunResult second = RunSmall({});
  EXPECT_EQ(LargestDifference(first, second), 0);
  EXPECT_GT(LargestDifference(first, RunSmall({"run.seed=2"})), 1e-3);
}

// Summation order differs, nothing else: fp32 rounding, which a batch norm over ghosts of 4 amplifies at each of 41
// updates, so the rate is low here. A loss averaged per micro-batch would differ by factors.
TEST_F(Layout, MicroBatchesChangeOnlyTheOrderOfSums) {
  const auto with = [](const char* micro_batch) { return RunSmall({"reference.learning_rate=0.005", micro_batch}); };
  const RunResult whole = with("run.micro_batch=1000");
  ASSERT_EQ(whole.memory.updates.size(), 46);
  for (const char* parts : {"run.micro_batch=4", "run.micro_batch=8", "run.micro_batch=12"}) {
    const RunResult split = with(parts);
    EXPECT_LT(LargestDifference(whole, split), 1e-4) << parts;
    for (size_t i = 0; i < whole.memory.updates.size(); ++i) {
      EXPECT_NEAR(whole.memory.updates[i].loss, split.memory.updates[i].loss, 1e-5) << parts << ", update " << i;
    }
  }
}

// The first update starts from the same weights, so here the bound is rounding alone.
TEST_F(Layout, OneUpdateInPartsIsTheUpdateInOne) {
  const std::vector<std::string> one_update = {"schedule.length=32sp", "reference.global_batch=32",
                                               "reference.boundaries=[\"31sp\"]", "schedule.policy=decay"};
  const auto with = [&](const char* micro_batch) {
    std::vector<std::string> overrides = one_update;
    overrides.emplace_back(micro_batch);
    return RunSmall(overrides);
  };
  const RunResult whole = with("run.micro_batch=32");
  ASSERT_EQ(whole.memory.updates.size(), 1);
  for (const char* parts : {"run.micro_batch=4", "run.micro_batch=12", "run.micro_batch=28"}) {
    EXPECT_LT(LargestDifference(whole, with(parts)), 2e-6) << parts;
  }
}

TEST_F(Layout, LoaderThreadsAndPrefetchChangeNothing) {
  const RunResult plain = RunSmall({});
  EXPECT_EQ(LargestDifference(plain, RunSmall({"data.threads=3", "data.prefetch=7"})), 0);
  EXPECT_EQ(LargestDifference(plain, RunSmall({"data.prefetch=1"})), 0);
}

TEST_F(Layout, CachingMemoryChangesNothing) {
  EXPECT_EQ(LargestDifference(RunSmall({}), RunSmall({"run.cache_memory=false"})), 0);
}

}  // namespace
}  // namespace crescendo
