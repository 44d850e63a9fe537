#include "crescendo/schedule/split.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <numeric>

namespace crescendo::schedule {
namespace {

TEST(Split, GhostsAreAsManyAsFitAndDifferByAtMostOne) {
  EXPECT_EQ(SplitIntoGhosts(Examples{128}, Examples{128}), (GhostSizes{128}));
  EXPECT_EQ(SplitIntoGhosts(Examples{384}, Examples{128}), (GhostSizes{128, 128, 128}));
  EXPECT_EQ(SplitIntoGhosts(Examples{1000}, Examples{128}), (GhostSizes{143, 143, 143, 143, 143, 143, 142}));
  EXPECT_EQ(SplitIntoGhosts(Examples{200}, Examples{128}), (GhostSizes{200}));
  EXPECT_EQ(SplitIntoGhosts(Examples{5}, Examples{128}), (GhostSizes{5}));
}

RC_GTEST_PROP(Split, MicroBatchesAreTheGhostsInOrderWithinMemory, ()) {
  const auto batch = *rc::gen::inRange<int64_t>(1, 20'000);
  const auto ghost = *rc::gen::inRange<int64_t>(2, 300);
  const auto micro = *rc::gen::inRange<int64_t>(1, 3'000);
  const GhostSizes ghosts = SplitIntoGhosts(Examples{batch}, Examples{ghost});
  GhostSizes joined;
  int64_t begin = 0;
  for (const MicroBatch& part : SplitIntoMicroBatches(Examples{batch}, Examples{ghost}, Examples{micro})) {
    RC_ASSERT(part.begin.value() == begin);
    RC_ASSERT(std::accumulate(part.ghosts.begin(), part.ghosts.end(), int64_t{0}) == part.size.value());
    RC_ASSERT(part.size.value() <= micro || part.ghosts.size() == 1);
    begin += part.size.value();
    joined.insert(joined.end(), part.ghosts.begin(), part.ghosts.end());
  }
  RC_ASSERT(joined == ghosts);
  RC_ASSERT(begin == batch);
  RC_ASSERT(ghosts.front() - ghosts.back() <= 1);
  RC_ASSERT(ghosts.back() >= std::min(ghost, batch));
}

}  // namespace
}  // namespace crescendo::schedule
