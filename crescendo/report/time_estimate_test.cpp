#include "crescendo/report/time_estimate.h"

#include <gtest/gtest.h>

namespace crescendo::report {
namespace {

using schedule::Examples;
using schedule::Updates;

// A machine that takes `a` seconds per example and `b` per update.
struct Machine {
  double a;
  double b;
  double Seconds(int64_t examples, int64_t updates) const {
    return a * static_cast<double>(examples) + b * static_cast<double>(updates);
  }
  void Train(TimeEstimate& estimate, int64_t batch, int64_t updates) const {
    estimate.Measured(Examples{batch * updates}, Updates{updates}, Seconds(batch * updates, updates));
  }
};

TEST(TimeEstimate, IsZeroBeforeAnythingWasMeasured) {
  EXPECT_EQ(TimeEstimate().SecondsFor(Examples{1000}, Updates{10}), 0);
}

TEST(TimeEstimate, IsExactWhileTheBatchStays) {
  const Machine machine{0.001, 0.05};
  TimeEstimate estimate;
  for (int i = 0; i < 100; ++i) machine.Train(estimate, 128, 1);
  EXPECT_NEAR(estimate.SecondsFor(Examples{128'000}, Updates{1000}), machine.Seconds(128'000, 1000), 1e-6);
}

TEST(TimeEstimate, ErrsOnTheLongSideForABatchItHasNotSeen) {
  const Machine machine{0.001, 0.05};
  TimeEstimate estimate;
  for (int i = 0; i < 100; ++i) machine.Train(estimate, 128, 1);
  EXPECT_GT(estimate.SecondsFor(Examples{128'000}, Updates{10}), machine.Seconds(128'000, 10));
  EXPECT_TRUE(estimate.IsBoundFor(Examples{128'000}, Updates{10}));
  EXPECT_FALSE(estimate.IsBoundFor(Examples{128'000}, Updates{1000})) << "the batch it has seen";
  machine.Train(estimate, 640, 5);
  EXPECT_FALSE(estimate.IsBoundFor(Examples{128'000}, Updates{10}));
}

TEST(TimeEstimate, TellsExamplesFromUpdatesOnceItHasSeenTwoBatches) {
  const Machine machine{0.001, 0.05};
  TimeEstimate estimate;
  for (int i = 0; i < 1000; ++i) machine.Train(estimate, 128, 1);
  for (int i = 0; i < 5; ++i) machine.Train(estimate, 640, 1);
  // A batch that no update had yet.
  EXPECT_NEAR(estimate.SecondsFor(Examples{16'000'000}, Updates{1000}), machine.Seconds(16'000'000, 1000), 1e-3);
}

TEST(TimeEstimate, NeverGivesACostBelowZero) {
  // Smaller updates that were slower than larger ones would make examples cost less than nothing.
  TimeEstimate estimate;
  estimate.Measured(Examples{128}, Updates{1}, 2.0);
  estimate.Measured(Examples{640}, Updates{1}, 1.0);
  EXPECT_GT(estimate.SecondsFor(Examples{100'000}, Updates{1}), 0);
  TimeEstimate other;
  other.Measured(Examples{128}, Updates{1}, 0.1);
  other.Measured(Examples{640}, Updates{1}, 10.0);
  EXPECT_GT(other.SecondsFor(Examples{1}, Updates{1000}), 0);
}

TEST(TimeEstimate, FollowsAMachineThatSlowsDown) {
  TimeEstimate estimate;
  Machine{0.001, 0}.Train(estimate, 128, 10'000);
  for (int i = 0; i < 30; ++i) Machine{0.002, 0}.Train(estimate, 128, 1'000);  // for two hours
  EXPECT_NEAR(estimate.SecondsFor(Examples{1'000'000}, Updates{7812}), 2000, 20);
}

}  // namespace
}  // namespace crescendo::report
