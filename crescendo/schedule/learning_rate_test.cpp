#include "crescendo/schedule/learning_rate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "crescendo/base/error.h"

namespace crescendo::schedule {
namespace {

constexpr Examples kLength{1000};

struct Row {
  int64_t position;
  double rate;
};

void ExpectRates(const LearningRate& rate, const std::vector<Row>& rows) {
  for (const Row& row : rows) EXPECT_NEAR(rate.At(Examples{row.position}), row.rate, 1e-12) << row.position;
}

TEST(LearningRate, ConstantStays) { ExpectRates({0.5, Constant{}, kLength}, {{0, 0.5}, {999, 0.5}}); }

TEST(LearningRate, StepFallsAtItsBoundariesWhichBelongToWhatFollows) {
  ExpectRates({0.1, Step{{Examples{300}, Examples{600}, Examples{800}}, 0.2}, kLength},
              {{0, 0.1}, {299, 0.1}, {300, 0.02}, {599, 0.02}, {600, 0.004}, {800, 0.0008}, {999, 0.0008}});
}

TEST(LearningRate, CosineIsHalfAtHalf) {
  ExpectRates({1, Cosine{0.2}, kLength}, {{0, 1}, {500, 0.6}, {250, 0.6 + 0.4 * std::sqrt(0.5)}, {1000, 0.2}});
}

TEST(LearningRate, RestartsBeginAgainAfterCyclesThatGrow) {  // cycles: 0-100, 100-300, 300-700, 700-1500
  ExpectRates(
      {1, Restarts{Examples{100}, 2, 0}, kLength},
      {{0, 1}, {50, 0.5}, {100, 1}, {200, 0.5}, {300, 1}, {500, 0.5}, {700, 1}, {900, 0.5 + 0.5 * std::sqrt(0.5)}});
  ExpectRates({1, Restarts{Examples{100}, 1, 0}, kLength}, {{0, 1}, {50, 0.5}, {100, 1}, {850, 0.5}, {900, 1}});
}

// A thousand cycles, each a little longer than the one before: each begins at the peak and ends near 0.
TEST(LearningRate, RestartsFindTheCycleOfEachPosition) {
  const Examples length{2'000'000};
  const LearningRate rate(1, Restarts{Examples{1000}, 1.001, 0}, length);
  int64_t cycles = 0;
  double begin = 0;
  for (double cycle = 1000; begin < static_cast<double>(length.value()); cycle *= 1.001, ++cycles) {
    const int64_t first = std::llround(begin);
    ExpectRates(rate, {{first, 1}});
    begin += cycle;
    if (begin > static_cast<double>(length.value())) break;
    EXPECT_LT(rate.At(Examples{std::llround(begin) - 1}), 1e-5);
    EXPECT_EQ(rate.PieceEnd(Examples{first}), Examples{std::llround(begin)});
  }
  EXPECT_GT(cycles, 1000);
}

TEST(LearningRate, ExponentialFallsByItsFactorOverEachPeriod) {
  ExpectRates({1, Exponential{Examples{200}, 0.25}, kLength}, {{0, 1}, {100, 0.5}, {200, 0.25}, {400, 0.0625}});
}

TEST(LearningRate, PolynomialFollowsThePowerOfWhatRemains) {
  ExpectRates({1, Polynomial{1, 0}, kLength}, {{0, 1}, {250, 0.75}, {1000, 0}});
  ExpectRates({1, Polynomial{2, 0}, kLength}, {{0, 1}, {500, 0.25}, {900, 0.01}});
  ExpectRates({1, Polynomial{0.5, 0.2}, kLength}, {{0, 1}, {750, 0.6}, {1000, 0.2}});
}

// torch.optim.lr_scheduler.OneCycleLR(max_lr=1, total_steps=1001, pct_start=0.301, div_factor=25,
// final_div_factor=1e4), whose rise ends at step 300.301 - 1; the values below are the formula's at its three fixed
// points and at the middles.
TEST(LearningRate, OneCycleRisesAndFallsAlongCosines) {
  const LearningRate rate(1, OneCycle{Examples{300}, 0.04, 4e-6}, kLength);
  ExpectRates(rate, {{0, 0.04}, {150, 0.52}, {300, 1}, {650, (1 + 4e-6) / 2}, {1000, 4e-6}});
}

TEST(LearningRate, TrapezoidStaysAndThenFallsStraight) {
  ExpectRates({1, Trapezoid{Examples{800}, 0.1}, kLength}, {{0, 1}, {799, 1}, {800, 1}, {900, 0.55}, {1000, 0.1}});
}

TEST(LearningRate, TableHoldsOrInterpolates) {
  const std::vector<std::pair<Examples, double>> points = {
      {Examples{0}, 1}, {Examples{400}, 0.5}, {Examples{800}, 0.1}};
  ExpectRates({0, Table{points, false}, kLength}, {{0, 1}, {399, 1}, {400, 0.5}, {900, 0.1}});
  ExpectRates({0, Table{points, true}, kLength}, {{0, 1}, {200, 0.75}, {400, 0.5}, {600, 0.3}, {900, 0.1}});
}

TEST(LearningRate, WarmupMultipliesAnyShape) {
  ExpectRates({1, Constant{}, kLength, {Examples{100}, 0}}, {{0, 0}, {50, 0.5}, {100, 1}});
  ExpectRates({1, Step{{Examples{50}}, 0.5}, kLength, {Examples{100}, 0.2}},
              {{0, 0.2}, {25, 0.4}, {50, 0.3}, {100, 0.5}});
}

TEST(LearningRate, AnnealedLeavesOutTheRiseAndKeepsTheFall) {
  const LearningRate warm(1, Polynomial{1, 0}, kLength, {Examples{100}, 0});
  EXPECT_DOUBLE_EQ(warm.AnnealedAt(Examples{50}), 0.95);
  const LearningRate cycle(1, OneCycle{Examples{300}, 0.04, 0}, kLength);
  EXPECT_DOUBLE_EQ(cycle.AnnealedAt(Examples{10}), 1);
  EXPECT_DOUBLE_EQ(cycle.AnnealedAt(Examples{650}), cycle.At(Examples{650}));
  const LearningRate table(0, Table{{{Examples{0}, 0.1}, {Examples{100}, 1}, {Examples{500}, 0.5}}, true}, kLength);
  EXPECT_DOUBLE_EQ(table.AnnealedAt(Examples{50}), 1);
  EXPECT_DOUBLE_EQ(table.peak(), 1);
}

TEST(LearningRate, PiecesEndWhereTheFormulaChanges) {
  const LearningRate rate(1, Step{{Examples{300}, Examples{600}}, 0.5}, kLength, {Examples{100}, 0});
  std::vector<int64_t> ends;
  for (Examples p{0}; p < kLength; p = rate.PieceEnd(p)) ends.push_back(rate.PieceEnd(p).value());
  EXPECT_EQ(ends, (std::vector<int64_t>{100, 300, 600, 1000}));
}

TEST(LearningRate, ShapesThatDescribeNothingAreRefused) {
  EXPECT_THROW(LearningRate(1, Step{{Examples{5}, Examples{5}}, 0.5}, kLength), UserError);
  EXPECT_THROW(LearningRate(1, Restarts{Examples{0}, 1, 0}, kLength), UserError);
  EXPECT_THROW(LearningRate(1, Table{{{Examples{3}, 1.0}}, false}, kLength), UserError);
  EXPECT_THROW(LearningRate(1, OneCycle{Examples{1000}, 0.1, 0}, kLength), UserError);
  EXPECT_THROW(LearningRate(1, Constant{}, Examples{0}), UserError);
}

TEST(Momentum, ChangesAtItsPositions) {
  const Momentum momentum(0.9, {{Examples{100}, 0.95}, {Examples{200}, 0.98}});
  EXPECT_EQ(momentum.At(Examples{99}), 0.9);
  EXPECT_EQ(momentum.At(Examples{100}), 0.95);
  EXPECT_EQ(momentum.At(Examples{5000}), 0.98);
  EXPECT_EQ(momentum.NextChange(Examples{100}), Examples{200});
  EXPECT_GT(momentum.NextChange(Examples{200}), Examples{1'000'000'000'000});
}

TEST(LearningRate, StraightLinesOfATableAreCutWhereTheyTurn) {
  const auto at = [](int64_t position) { return Examples{position}; };
  const Table zigzag{{{at(0), 0.1},
                      {at(10), 0.2},
                      {at(20), 0.3},
                      {at(30), 0.3},
                      {at(40), 0.2},
                      {at(50), 0.1},
                      {at(60), 0.4},
                      {at(70), 0.4}},
                     true};
  const LearningRate rate(1, zigzag, at(100));
  std::vector<int64_t> ends;
  for (Examples p{0}; p < at(100); p = rate.PieceEnd(p)) ends.push_back(rate.PieceEnd(p).value());
  EXPECT_EQ(ends, (std::vector<int64_t>{30, 50, 100}));
}

}  // namespace
}  // namespace crescendo::schedule
