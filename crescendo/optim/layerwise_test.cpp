// LARS and LAMB, worked by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crescendo/optim/test_support.h"

namespace crescendo::optim {
namespace {

using ::testing::Pointwise;

MATCHER_P(AreNear, expected, "") {
  return ::testing::ExplainMatchResult(Pointwise(::testing::DoubleNear(1e-12), std::vector<double>(expected)),
                                       Values(arg), result_listener);
}

using Numbers = std::vector<double>;

OptimizerOptions LarsOptions() {
  OptimizerOptions options = Named(OptimizerName::kLars);
  options.trust_coefficient = 0.6;
  options.weight_decay = 0.2;
  return options;
}

TEST(Lars, TwoStepsByHand) {
  Subject subject(LarsOptions(), {Doubles({3, 4})});
  // |w| = 5, |g| = 2: lambda = 0.6 * 5 / (2 + 0.2 * 5) = 1;  g + wd w = (-0.6, -0.8) = A;  w = (3, 4) + 5 (0.6, 0.8)
  subject.Step({.learning_rate = 5, .momentum = 0.5}, {Doubles({-1.2, -1.6})});
  EXPECT_THAT(subject.parameters[0], AreNear(Numbers{6, 8}));
  // |w| = 10, |g| = 1: lambda = 0.6 * 10 / (1 + 0.2 * 10) = 2;  g + wd w = (1.2, 2.6)
  // A = 0.5 (-0.6, -0.8) + 2 (1.2, 2.6) = (2.1, 4.8);  the new learning rate applies to all of it: w = (6, 8) - A
  subject.Step({.learning_rate = 1, .momentum = 0.5}, {Doubles({0, 1})});
  EXPECT_THAT(subject.parameters[0], AreNear(Numbers{3.9, 3.2}));
}

TEST(Lars, EachParameterHasItsOwnRateAndSparedOnesHaveNone) {
  OptimizerOptions options = LarsOptions();
  options.decay_norm_and_bias = false;
  Subject subject(options, {Doubles({3, 4}).view({1, 2}), Doubles({6, 8}).view({2, 1}), Doubles({3, 4})});
  // The first as in TwoStepsByHand; the second: |w| = 10, |g| = 1, lambda = 2, g + wd w = (1.2, 2.6); the third: w - g.
  subject.Step({.learning_rate = 1, .momentum = 0.5},
               {Doubles({-1.2, -1.6}).view({1, 2}), Doubles({0, 1}).view({2, 1}), Doubles({0, 1})});
  EXPECT_THAT(subject.parameters[0], AreNear(Numbers{3.6, 4.8}));
  EXPECT_THAT(subject.parameters[1], AreNear(Numbers{3.6, 2.8}));
  EXPECT_THAT(subject.parameters[2], AreNear(Numbers{3, 3}));
}

TEST(Lars, WeightsThatAreAllZeroCanLeaveZero) {
  Subject subject(LarsOptions(), {Doubles({0, 0}), Doubles({3, 4})});
  // The second: no gradient but decay, lambda = 0.6 * 5 / (0.2 * 5) = 3, 3 * 0.2 w = 0.6 w.
  subject.Step({.learning_rate = 1, .momentum = 0}, {Doubles({1, 2}), Doubles({0, 0})});
  EXPECT_THAT(subject.parameters[0], AreNear(Numbers{-1, -2}));
  EXPECT_THAT(subject.parameters[1], AreNear(Numbers{1.2, 1.6}));
}

TEST(Lars, ATrustCoefficientOfZeroIsARateOfZero) {
  OptimizerOptions options = LarsOptions();
  options.trust_coefficient = 0;
  Subject subject(options, {Doubles({3, 4})});
  subject.Step({.learning_rate = 1, .momentum = 0.5}, {Doubles({-1.2, -1.6})});
  EXPECT_THAT(subject.parameters[0], AreNear(Numbers{3, 4}));
}

TEST(Layerwise, WeightsWithNeitherGradientNorDecayStay) {
  for (const OptimizerName name : {OptimizerName::kLars, OptimizerName::kLamb}) {
    Subject subject(Named(name), {Doubles({3, 4})});
    subject.Step({.learning_rate = 1, .momentum = 0.5}, {Doubles({0, 0})});
    EXPECT_THAT(subject.parameters[0], AreNear(Numbers{3, 4}));
  }
}

OptimizerOptions LambOptions() {
  OptimizerOptions options = Named(OptimizerName::kLamb);
  options.weight_decay = 1.0 / 9;
  options.beta2 = 0.75;
  options.epsilon = 0;
  options.decay_norm_and_bias = false;
  return options;
}

TEST(Lamb, TwoStepsByHand) {
  Subject subject(LambOptions(), {Doubles({14, 14, 14, 14}).view({2, 2}), Doubles({14, 14})});
  // m^ = g, v^ = g^2, r = 1 everywhere. r + wd w = 1 + 14/9 is parallel to w, so the step is lr |w|: half of w.
  // The bias is spared: its step is lr r.
  subject.Step({.learning_rate = 0.5, .momentum = 0.5}, {Doubles({1, 1, 1, 1}).view({2, 2}), Doubles({1, 1})});
  EXPECT_THAT(subject.parameters[0], AreNear(Numbers{7, 7, 7, 7}));
  EXPECT_THAT(subject.parameters[1], AreNear(Numbers{13.5, 13.5}));
  // m^ = (0.25 g1 + 0.5 g2) / 0.75, v^ = (0.1875 + 0.25) / 0.4375 = 1: r = -1/3 where the gradient turned, else 1.
  // r + wd w = (4, 16, 16, 16) / 9, of norm 28/9; |w| = 14: the ratio is 4.5 and the steps are 0.1 * (2, 8, 8, 8).
  subject.Step({.learning_rate = 0.1, .momentum = 0.5}, {Doubles({-1, 1, 1, 1}).view({2, 2}), Doubles({-1, 1})});
  EXPECT_THAT(subject.parameters[0], AreNear(Numbers{6.8, 6.2, 6.2, 6.2}));
  EXPECT_THAT(subject.parameters[1], AreNear(Numbers{13.5 + 0.1 / 3, 13.4}));
}

TEST(Lamb, WeightsThatAreAllZeroCanLeaveZero) {
  Subject subject(LambOptions(), {Doubles({0, 0}).view({2, 1})});
  subject.Step({.learning_rate = 0.5, .momentum = 0.5}, {Doubles({3, -4}).view({2, 1})});
  EXPECT_THAT(subject.parameters[0], AreNear(Numbers{-0.5, 0.5}));
}

}  // namespace
}  // namespace crescendo::optim
