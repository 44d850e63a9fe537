#include "crescendo/train/tree_sum.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace crescendo::train {
namespace {

using ::testing::ElementsAre;

// Numbers of very different size, so that another order of additions gives other bits.
std::vector<at::Tensor> Value(int64_t position) {
  std::mt19937 random(static_cast<uint32_t>(position));
  std::vector<float> numbers;
  for (int i = 0; i < 16; ++i) {
    const auto exponent = static_cast<int>(random() % 20);
    numbers.push_back(std::ldexp(static_cast<float>(random() % 1000) - 500, exponent));
  }
  return {at::tensor(numbers)};
}

at::Tensor SumOfOne(int64_t count) {
  TreeSum sum;
  for (int64_t k = 0; k < count; ++k) sum.Add(k, Value(k));
  return sum.Total().at(0);
}

std::vector<int64_t> Counts(const TreeSum& sum) {
  std::vector<int64_t> counts;
  for (const TreeSum::Node& node : sum.nodes()) counts.push_back(node.range.count);
  return counts;
}

TEST(TreeSum, HoldsTheBinaryDigitsOfTheCount) {
  TreeSum sum;
  for (int64_t k = 0; k < 13; ++k) sum.Add(k, Value(k));
  EXPECT_THAT(Counts(sum), ElementsAre(8, 4, 1));
  TreeSum from_three;
  for (int64_t k = 3; k < 13; ++k) from_three.Add(k, Value(k));
  EXPECT_THAT(Counts(from_three), ElementsAre(1, 4, 4, 1));  // 3 | 4-7 | 8-11 | 12
}

TEST(TreeSum, SaysWhereItsNodesAre) {
  for (int64_t begin = 0; begin < 20; ++begin) {
    for (int64_t end = begin; end < 40; ++end) {
      TreeSum sum;
      for (int64_t k = begin; k < end; ++k) sum.Add(k, Value(k));
      const std::vector<TreeSum::Range> ranges = TreeSum::NodesOf(begin, end);
      ASSERT_EQ(ranges.size(), sum.nodes().size());
      for (size_t i = 0; i < ranges.size(); ++i) {
        EXPECT_EQ(ranges[i].begin, sum.nodes()[i].range.begin);
        EXPECT_EQ(ranges[i].count, sum.nodes()[i].range.count);
      }
    }
  }
}

// (1 + 2^-24) + (2^-24 + 2^-24) in fp32: from left to right each 2^-24 is rounded away; the tree keeps the second pair.
TEST(TreeSum, AddsInPairs) {
  TreeSum sum;
  for (int64_t k = 0; k < 4; ++k) sum.Add(k, {at::tensor(k == 0 ? 1.0F : std::ldexp(1.0F, -24))});
  EXPECT_EQ(sum.Total().at(0).item<float>(), 1.0F + std::ldexp(1.0F, -23));
}

TEST(TreeSum, SameBitsHoweverThePositionsAreDealtOut) {
  std::mt19937 random(1);
  for (int trial = 0; trial < 200; ++trial) {
    const auto count = static_cast<int64_t>(1 + random() % 40);
    std::vector<int64_t> ends(random() % 5);
    for (int64_t& end : ends) end = static_cast<int64_t>(random() % static_cast<uint32_t>(count + 1));
    ends.push_back(count);
    std::sort(ends.begin(), ends.end());
    TreeSum all;
    int64_t k = 0;
    for (const int64_t end : ends) {  // a worker each; some have nothing
      TreeSum own;
      for (; k < end; ++k) own.Add(k, Value(k));
      for (const TreeSum::Node& node : own.nodes()) all.Append(node);
    }
    EXPECT_TRUE(at::equal(all.Total().at(0), SumOfOne(count))) << count;
  }
}

// That the test above can fail.
TEST(TreeSum, AnotherOrderGivesOtherBits) {
  at::Tensor from_left = Value(0).at(0);
  for (int64_t k = 1; k < 37; ++k) from_left += Value(k).at(0);
  EXPECT_FALSE(at::equal(from_left, SumOfOne(37)));
  EXPECT_LT(from_left.sub(SumOfOne(37)).abs().max().item<float>() / from_left.abs().max().item<float>(), 1e-5);
}

TEST(TreeSum, ZeroHasNoSign) {
  TreeSum sum;
  sum.Add(0, {at::tensor(-0.0F)});
  EXPECT_FALSE(std::signbit(sum.Total().at(0).item<float>()));
}

}  // namespace
}  // namespace crescendo::train
