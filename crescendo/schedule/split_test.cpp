#include "crescendo/schedule/split.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
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

TEST(Split, RanksTakeWholeGhostsInOrderAsEvenlyAsTheyCome) {
  const auto ghosts_of = [](int64_t batch, int64_t rank, int64_t ranks) {
    return ShareOfRank(Examples{batch}, Examples{128}, rank, ranks).ghosts;
  };
  EXPECT_EQ(ghosts_of(1000, 0, 3), (GhostSizes{143, 143, 143}));
  EXPECT_EQ(ghosts_of(1000, 1, 3), (GhostSizes{143, 143}));
  EXPECT_EQ(ghosts_of(1000, 2, 3), (GhostSizes{143, 142}));
  EXPECT_EQ(ghosts_of(300, 0, 3), (GhostSizes{150}));
  EXPECT_EQ(ghosts_of(300, 1, 3), (GhostSizes{150}));
  EXPECT_EQ(ghosts_of(300, 2, 3), GhostSizes{});
  EXPECT_EQ(ghosts_of(5, 0, 2), (GhostSizes{5}));
  const RankShare nothing = ShareOfRank(Examples{5}, Examples{128}, 1, 2);
  EXPECT_EQ(nothing.size, Examples{0});
  EXPECT_EQ(nothing.begin, Examples{5});
  EXPECT_TRUE(SplitIntoMicroBatches(nothing, Examples{128}).empty());
}

// Whatever the number of ranks and the micro-batch, the ghosts of an update are the same, in the same order, at the
// same positions of the global batch: each exactly once.
RC_GTEST_PROP(Split, RanksTogetherHoldTheGlobalBatch, ()) {
  const auto batch = *rc::gen::inRange<int64_t>(1, 20'000);
  const auto ghost = *rc::gen::inRange<int64_t>(2, 300);
  const auto micro = *rc::gen::inRange<int64_t>(1, 3'000);
  const auto ranks = *rc::gen::inRange<int64_t>(1, 12);
  const GhostSizes ghosts = SplitIntoGhosts(Examples{batch}, Examples{ghost});
  GhostSizes joined;
  int64_t begin = 0;
  size_t most = 0;
  size_t fewest = ghosts.size();
  for (int64_t rank = 0; rank < ranks; ++rank) {
    const RankShare share = ShareOfRank(Examples{batch}, Examples{ghost}, rank, ranks);
    RC_ASSERT(share.begin.value() == begin);
    int64_t size = 0;
    for (const MicroBatch& part : SplitIntoMicroBatches(share, Examples{micro})) {
      RC_ASSERT(part.begin.value() == begin);
      begin += part.size.value();
      size += part.size.value();
      joined.insert(joined.end(), part.ghosts.begin(), part.ghosts.end());
    }
    RC_ASSERT(share.size.value() == size);
    RC_ASSERT(share.ghosts_after == static_cast<int64_t>(ghosts.size() - joined.size()));
    RC_ASSERT(share.ghosts.size() <= fewest || rank == 0);  // the first ranks have the larger shares
    most = std::max(most, share.ghosts.size());
    fewest = std::min(fewest, share.ghosts.size());
  }
  RC_ASSERT(joined == ghosts);
  RC_ASSERT(begin == batch);
  RC_ASSERT(most - fewest <= 1);
}

}  // namespace
}  // namespace crescendo::schedule
