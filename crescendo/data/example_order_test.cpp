#include "crescendo/data/example_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <thread>

namespace crescendo::data {
namespace {

using schedule::Examples;
using ::testing::ElementsAre;

ExampleOrder::Permutation Sorted(ExampleOrder::Permutation order) {
  std::sort(order.begin(), order.end());
  return order;
}

// Part of the meaning of a seed: if this changes, no run of before can be repeated.
TEST(ExampleOrder, OfSeed1IsAsItEverWas) {
  const ExampleOrder order(1, 10);
  EXPECT_THAT(*order.Epoch(0), ElementsAre(1, 6, 5, 9, 2, 0, 3, 4, 7, 8));
  EXPECT_THAT(*order.Epoch(1), ElementsAre(6, 4, 0, 7, 9, 1, 3, 8, 5, 2));
}

TEST(ExampleOrder, EveryExampleOncePerEpochAndNoTwoEpochsAlike) {
  const ExampleOrder order(7, 1'000);
  ExampleOrder::Permutation all(1'000);
  for (int64_t i = 0; i < 1'000; ++i) all[i] = i;
  std::set<ExampleOrder::Permutation> seen;
  for (int64_t epoch = 0; epoch < 20; ++epoch) {
    EXPECT_EQ(Sorted(*order.Epoch(epoch)), all);
    seen.insert(*order.Epoch(epoch));
  }
  EXPECT_EQ(seen.size(), 20);
  EXPECT_NE(*ExampleOrder(8, 1'000).Epoch(0), *order.Epoch(0));
}

TEST(ExampleOrder, APositionIsAPlaceInItsEpoch) {
  const ExampleOrder order(3, 7);
  for (int64_t position = 0; position < int64_t{5} * 7; ++position) {
    EXPECT_EQ(order.ExampleAt(Examples{position}), (*order.Epoch(position / 7))[position % 7]);
  }
  EXPECT_EQ(order.EpochAt(Examples{13}), 1);
  EXPECT_EQ(order.EpochAt(Examples{14}), 2);
}

// Over 6,000 shuffles of 3, each of the 6 orders comes up about 1,000 times (deviation 29).
TEST(ExampleOrder, FavoursNoOrder) {
  const ExampleOrder order(1, 3);
  std::map<ExampleOrder::Permutation, int> counts;
  for (int64_t epoch = 0; epoch < 6'000; ++epoch) ++counts[*order.Epoch(epoch)];
  ASSERT_EQ(counts.size(), 6);
  for (const auto& [permutation, count] : counts) EXPECT_NEAR(count, 1'000, 150);
}

TEST(ExampleOrder, IsTheSameForThreadsThatAskForDifferentEpochs) {
  const ExampleOrder order(5, 100);
  const ExampleOrder alone(5, 100);
  std::vector<std::thread> threads;
  std::array<std::vector<ExampleOrder::Permutation>, 4> seen;
  for (size_t t = 0; t < seen.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int64_t epoch = 0; epoch < 50; ++epoch)
        seen[t].push_back(*order.Epoch((epoch * (static_cast<int64_t>(t) + 1)) % 50));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t t = 0; t < seen.size(); ++t) {
    for (int64_t epoch = 0; epoch < 50; ++epoch) {
      EXPECT_EQ(seen[t][epoch], *alone.Epoch((epoch * (static_cast<int64_t>(t) + 1)) % 50));
    }
  }
}

}  // namespace
}  // namespace crescendo::data
