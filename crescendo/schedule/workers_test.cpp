#include "crescendo/schedule/workers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crescendo/schedule/planner.h"
#include "crescendo/schedule/split.h"

namespace crescendo::schedule {
namespace {

using ::testing::ElementsAre;

// A plan of 10,000 examples whose batch is this at first and changes by these factors, every 1000 examples.
Plan PlanOf(int64_t batch, const std::vector<double>& factors) {
  Table table{.points = {{Examples{0}, 0.1}}};
  double rate = 0.1;
  for (const double factor : factors) {
    rate /= factor;
    table.points.emplace_back(Examples{1000 * static_cast<int64_t>(table.points.size())}, rate);
  }
  PlanRequest request{.train_examples = Examples{100'000},
                      .reference = {LearningRate(1, table, Examples{10'000}), 0.9, Examples{batch}},
                      .policy = Policy::kGrow,
                      .learning_rate = 0.1,
                      .momentum = 0.9,
                      .max_batch = Examples{100'000}};
  return MakePlan(request);
}

std::vector<int64_t> Workers(const Plan& plan, int64_t worker_batch, int64_t started = kAnyNumber) {
  return GrowingWorkers(plan, Examples{worker_batch}, started);
}

TEST(GrowingWorkers, AsManyAsTheBatchHoldsTheirBatch) {
  const Plan plan = PlanOf(128, {5, 5});  // 128, 640, 3200
  EXPECT_THAT(Workers(plan, 128), ElementsAre(1, 5, 25));
  EXPECT_THAT(Workers(plan, 320), ElementsAre(1, 2, 10));  // one has work from the start, if less than its batch
  EXPECT_THAT(Workers(plan, 1000), ElementsAre(1, 1, 3));  // 3.2
  EXPECT_THAT(Workers(plan, 4000), ElementsAre(1, 1, 1));
  EXPECT_THAT(Workers(plan, 64), ElementsAre(2, 10, 50));
}

TEST(GrowingWorkers, AtMostThoseThatWereStarted) {
  const Plan plan = PlanOf(128, {5, 5});
  EXPECT_THAT(Workers(plan, 128, 4), ElementsAre(1, 4, 4));
  EXPECT_THAT(Workers(plan, 128, 1), ElementsAre(1, 1, 1));
}

TEST(GrowingWorkers, PaperDoublesThemWithTheBatch) {
  EXPECT_THAT(Workers(PlanOf(8192, {2}), 4096, 4), ElementsAre(2, 4));
}

// Warm restarts: the batch falls again, and those that have come stay.
TEST(GrowingWorkers, NeverFewerThanBefore) {
  const Plan plan = PlanOf(100, {2, 0.5, 3});  // 100, 200, 100, 300
  ASSERT_EQ(plan.phases().size(), 4);
  EXPECT_EQ(plan.phases()[2].global_batch, Examples{100});
  EXPECT_THAT(Workers(plan, 100), ElementsAre(1, 2, 2, 3));
}

TEST(GrowingWorkers, EachHasAGhostBatchWhereItsBatchIsNotSmaller) {
  const Plan plan = PlanOf(130, {1.7, 1.9, 2.3, 1.1});
  for (const int64_t ghost : {7, 32, 130}) {
    for (const int64_t worker_batch : {ghost, ghost + 1, 3 * ghost}) {
      const std::vector<int64_t> workers = Workers(plan, worker_batch);
      for (size_t i = 0; i < workers.size(); ++i) {
        const RankShare last = ShareOfRank(plan.phases()[i].global_batch, Examples{ghost}, workers[i] - 1, workers[i]);
        EXPECT_GE(last.size, Examples{ghost});
      }
    }
  }
}

}  // namespace
}  // namespace crescendo::schedule
