#include "crescendo/schedule/noise_scale.h"

#include <gtest/gtest.h>

#include <cmath>

namespace crescendo::schedule {
namespace {

constexpr Examples kCifar{50'000};
constexpr NoiseLaw kSmallBatch{ScalingRule::kLinear, NoiseForm::kSmallBatch};
constexpr NoiseLaw kExact{ScalingRule::kLinear, NoiseForm::kExact};

TEST(NoiseScale, SameForTheThreeStartingPointsOfThePaper) {
  EXPECT_NEAR(NoiseScale(kSmallBatch, 0.1, kCifar, Examples{128}, 0.9), 390.625, 1e-9);
  EXPECT_NEAR(NoiseScale(kSmallBatch, 0.5, kCifar, Examples{640}, 0.9), 390.625, 1e-9);
  EXPECT_NEAR(NoiseScale(kSmallBatch, 0.5, kCifar, Examples{3200}, 0.98), 390.625, 1e-9);
}

TEST(NoiseScale, ExactFormOfTheThreeStartingPoints) {
  EXPECT_NEAR(NoiseScale(kExact, 0.1, kCifar, Examples{128}, 0.9), 389.6, 0.05);
  EXPECT_NEAR(NoiseScale(kExact, 0.5, kCifar, Examples{640}, 0.9), 385.6, 0.05);
  EXPECT_NEAR(NoiseScale(kExact, 0.5, kCifar, Examples{3200}, 0.98), 365.6, 0.05);
}

TEST(NoiseScale, SmallBatchFormIsOffAsMuchAsTheBatchIsLarge) {
  struct Row {
    int64_t batch;
    double percent;
  };
  for (const Row row : {Row{640, 1.3}, Row{3200, 6.4}, Row{5120, 10.2}, Row{16'000, 32}}) {
    const double small = NoiseScale(kSmallBatch, 0.1, kCifar, Examples{row.batch}, 0.9);
    const double exact = NoiseScale(kExact, 0.1, kCifar, Examples{row.batch}, 0.9);
    EXPECT_NEAR(100 * (1 - exact / small), row.percent, 0.05) << row.batch;
  }
}

TEST(NoiseScale, SquareRootRuleKeepsTheRateOverTheRootOfTheBatch) {
  constexpr NoiseLaw kRoot{ScalingRule::kSquareRoot, NoiseForm::kSmallBatch};
  EXPECT_DOUBLE_EQ(NoiseScale(kRoot, 1e-3, kCifar, Examples{128}, 0.9),
                   NoiseScale(kRoot, 2e-3, kCifar, Examples{512}, 0.9));
}

TEST(NoiseScale, RateAndBatchAreItsInverses) {
  for (const ScalingRule rule : {ScalingRule::kLinear, ScalingRule::kSquareRoot, ScalingRule::kSeesaw}) {
    for (const NoiseForm form : {NoiseForm::kSmallBatch, NoiseForm::kExact}) {
      const NoiseLaw law{rule, form};
      const double noise = NoiseScale(law, 0.3, kCifar, Examples{777}, 0.95);
      EXPECT_NEAR(LearningRateForNoise(law, noise, kCifar, Examples{777}, 0.95), 0.3, 1e-15);
      EXPECT_NEAR(BatchForNoise(law, noise, 0.3, kCifar, 0.95), 777, 1e-9);
    }
  }
}

TEST(NoiseScale, NoNoiseNeedsAnInfiniteBatchOrAllExamples) {
  EXPECT_TRUE(std::isinf(BatchForNoise(kSmallBatch, 0, 0.1, kCifar, 0.9)));
  EXPECT_EQ(BatchForNoise(kExact, 0, 0.1, kCifar, 0.9), 50'000);
}

TEST(NoiseScale, HasAFormulaForPeople) {
  EXPECT_EQ(FormulaText({ScalingRule::kLinear, NoiseForm::kSmallBatch}), "lr (N/B) / (1-m)");
  EXPECT_EQ(FormulaText({ScalingRule::kLinear, NoiseForm::kExact}), "lr (N/B - 1) / (1-m)");
  EXPECT_EQ(FormulaText({ScalingRule::kSquareRoot, NoiseForm::kSmallBatch}), "lr sqrt(N/B) / (1-m)");
  EXPECT_EQ(FormulaText({ScalingRule::kSeesaw, NoiseForm::kExact}), "lr sqrt(N/B - 1) / (1-m)");
}

TEST(LostEpochs, AreTheBatchOverTheExamplesTimesOneMinusMomentum) {
  EXPECT_DOUBLE_EQ(LostEpochs(Examples{128}, kCifar, 0.9), 0.0256);
  EXPECT_DOUBLE_EQ(LostEpochs(Examples{5120}, kCifar, 0.9), 1.024);
  EXPECT_NEAR(LostEpochs(Examples{3200}, kCifar, 0.98), 3.2, 1e-12);
}

}  // namespace
}  // namespace crescendo::schedule
