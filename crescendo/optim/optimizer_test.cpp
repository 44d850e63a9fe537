#include "crescendo/optim/optimizer.h"

#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "crescendo/optim/test_support.h"

namespace crescendo::optim {
namespace {

using ::testing::ElementsAre;

// Runs `check` for every rule, with weight decay and the default options otherwise; plain SGD has momentum 0.
template <class Check>
void ForEveryRule(Check check) {
  for (const auto& rule : kEnumCases<OptimizerName>) {
    SCOPED_TRACE(std::string(rule.name));
    OptimizerOptions options = Named(rule.value);
    options.weight_decay = 0.1;
    options.trust_coefficient = 0.5;
    check(options, rule.value == OptimizerName::kSgd ? 0.0 : 0.9);
  }
}

// A weight [2, 3, 2, 2] and a bias [3], and gradients for them that differ from step to step.
std::vector<at::Tensor> SomeWeights() {
  std::vector<double> values;
  for (int i = 0; i < 24; ++i) values.push_back(std::sin(1 + i));
  return {Doubles(values).view({2, 3, 2, 2}), Doubles({1, -2, 3})};
}

std::vector<at::Tensor> SomeGradients(int step) {
  std::vector<double> values;
  for (int i = 0; i < 24; ++i) values.push_back(std::cos(2 * i + step));
  return {Doubles(values).view({2, 3, 2, 2}), Doubles({0.5, step - 1.0, 0.25})};
}

TEST(Momentum, NeedsNoCorrectionWhereTheRateChanges) {
  // The other form, with the rate inside its buffer: v <- m v + lr g; w <- w - v. It is the same where v is multiplied
  // by lr_new / lr_old at each change (Goyal et al. 2017, remark 3).
  Scalar subject(Named(OptimizerName::kMomentum), 1);
  double v = 0, w = 1, old_rate = 0.5;
  for (const double rate : {0.5, 0.5, 0.1, 0.1, 0.4, 0.02}) {
    const double gradient = std::sin(10 * w);
    v = 0.9 * v * (rate / old_rate) + rate * gradient;
    w -= v;
    old_rate = rate;
    EXPECT_NEAR(subject.Step({rate, 0.9}, gradient), w, 1e-12);
  }
}

TEST(Momentum, AtZeroTheBufferIsTheLastGradient) {
  for (const OptimizerName name : {OptimizerName::kMomentum, OptimizerName::kNesterov}) {
    const bool nesterov = name == OptimizerName::kNesterov;
    Scalar subject(Named(name));
    EXPECT_EQ(subject.Step({1, 0}, 1), -1);                         // A = 1
    EXPECT_EQ(subject.Step({1, 0.5}, 1), nesterov ? -2.75 : -2.5);  // A = 1.5; nesterov 1 + 0.75
    EXPECT_EQ(subject.Step({1, 0}, 4), nesterov ? -6.75 : -6.5);    // A = 4
    EXPECT_EQ(subject.Step({1, 0.5}, 0), nesterov ? -7.75 : -8.5);  // A = 2; nesterov 0 + 1
  }
}

TEST(Momentum, DecoupledDecayStaysOutOfTheBuffer) {
  for (const OptimizerName name : {OptimizerName::kSgd, OptimizerName::kMomentum, OptimizerName::kNesterov}) {
    OptimizerOptions options = Named(name);
    options.weight_decay = 0.5;
    options.decay = config::WeightDecay::kDecoupled;
    Scalar subject(options, 8);
    EXPECT_EQ(subject.Step({0.5, 0}, 2), 5);  // 8 (1 - 0.25) - 0.5 * 2
    EXPECT_EQ(subject.Step({1, 0}, 0), 2.5);  // 5 (1 - 0.5)
  }
}

TEST(Rmsprop, DecoupledDecayStaysOutOfTheMeanSquare) {
  OptimizerOptions options = Named(OptimizerName::kRmsprop);
  options.weight_decay = 0.5;
  options.decay = config::WeightDecay::kDecoupled;
  options.smoothing = 0.75;
  options.epsilon = 0;
  Scalar subject(options, 8);
  EXPECT_EQ(subject.Step({0.5, 0}, 2), 5);  // v = 0.25 * 4, root 1: 8 (1 - 0.25) - 0.5 * 2 / 1
}

TEST(ScaleMomentum, MultipliesASumOfGradients) {
  for (const OptimizerName name : {OptimizerName::kMomentum, OptimizerName::kNesterov, OptimizerName::kLars}) {
    Scalar subject(Named(name));
    subject.Step({1, 0.5}, 1);
    ASSERT_EQ(subject.optimizer->State()[0].name, "p0.momentum");
    const at::Tensor buffer = subject.optimizer->State()[0].value;
    EXPECT_EQ(buffer.item<double>(), 1);
    subject.optimizer->ScaleMomentum(4);
    EXPECT_EQ(buffer.item<double>(), 4);
  }
  Scalar subject(Named(OptimizerName::kMomentum));
  EXPECT_EQ(subject.Step({1, 0.5}, 1), -1);
  subject.optimizer->ScaleMomentum(4);
  EXPECT_EQ(subject.Step({1, 0.5}, 1), -4);  // A = 0.5 * 4 + 1
}

TEST(ScaleMomentum, ZeroForgetsWhateverIsInTheBuffer) {
  Scalar subject(Named(OptimizerName::kMomentum));
  subject.Step({0, 0.5}, HUGE_VAL);
  subject.optimizer->ScaleMomentum(0);
  subject.parameters[0].fill_(0);  // 0 times infinity
  EXPECT_EQ(subject.Step({1, 0.5}, 1), -1);
}

TEST(ScaleMomentum, LeavesTheMeanOfTheAdamFamilyUnlessZero) {
  for (const OptimizerName name : {OptimizerName::kAdam, OptimizerName::kAdamW, OptimizerName::kLamb}) {
    Scalar touched(Named(name), 5), untouched(Named(name), 5);
    touched.Step({0.1, 0.9}, 1);
    untouched.Step({0.1, 0.9}, 1);
    touched.optimizer->ScaleMomentum(5);
    EXPECT_EQ(touched.Step({0.1, 0.98}, 2), untouched.Step({0.1, 0.98}, 2));
  }
}

// Where the gradient is always 1, both corrected moments are 1, whatever beta1 was at each step: each step is lr long.
// A correction by 1 - beta1^t of the last beta1 alone would be off by factors.
TEST(Adam, BiasCorrectionFollowsAChangingBeta1) {
  for (const OptimizerName name : {OptimizerName::kAdam, OptimizerName::kAdamW, OptimizerName::kLamb}) {
    OptimizerOptions options = Named(name);
    options.epsilon = 0;
    options.decay_norm_and_bias = false;  // so that LAMB has no ratio here
    Scalar subject(options);
    double expected = 0;
    for (const double beta1 : {0.9, 0.9, 0.98, 0.5, 0.0, 0.99, 0.9}) {
      expected -= 0.25;
      EXPECT_NEAR(subject.Step({0.25, beta1}, 1), expected, 1e-12);
    }
    subject.optimizer->ScaleMomentum(0);  // the first moment starts anew, and its correction with it
    EXPECT_NEAR(subject.Step({0.25, 0.9}, 1), expected - 0.25, 1e-12);
  }
}

TEST(Adam, DecoupledDecayDoesNotSeeTheBiasCorrection) {
  OptimizerOptions options = Named(OptimizerName::kAdamW);
  options.epsilon = 0;
  options.weight_decay = 0.5;
  Scalar subject(options, 8);
  EXPECT_NEAR(subject.Step({0.5, 0.9}, 1), 8 * 0.75 - 0.5, 1e-12);
  EXPECT_NEAR(subject.Step({1, 0.0}, 1), 5.5 * 0.5 - 1, 1e-12);
  EXPECT_NEAR(subject.Step({1, 0.98}, 1), 1.75 * 0.5 - 1, 1e-12);
}

TEST(Adam, AParameterThatMissedStepsHasAnAgeOfItsOwn) {
  OptimizerOptions options = Named(OptimizerName::kAdam);
  options.epsilon = 0;
  Subject subject(options, {Doubles({0}), Doubles({0})});
  subject.Step({0.25, 0.9}, {Doubles({1}), {}});
  subject.Step({0.25, 0.9}, {Doubles({1}), {}});
  subject.Step({0.25, 0.9}, {Doubles({1}), Doubles({7})});
  EXPECT_NEAR(subject.parameters[0].item<double>(), -0.75, 1e-12);
  EXPECT_NEAR(subject.parameters[1].item<double>(), -0.25, 1e-12);  // a first step is lr long
}

TEST(Optimizer, ARateOfZeroMovesNoWeight) {
  ForEveryRule([](OptimizerOptions options, double momentum) {
    for (const config::WeightDecay decay : {config::WeightDecay::kCoupled, config::WeightDecay::kDecoupled}) {
      options.decay = decay;
      Subject subject(options, SomeWeights());
      for (int step = 0; step < 3; ++step) subject.Step({0, momentum}, SomeGradients(step));
      for (size_t p = 0; p < 2; ++p) EXPECT_TRUE(subject.parameters[p].equal(SomeWeights()[p]));
    }
  });
}

TEST(Optimizer, SparedParametersDoNotDecayAndOthersDo) {
  ForEveryRule([](OptimizerOptions options, double momentum) {
    for (const bool decay_norm_and_bias : {true, false}) {
      options.decay_norm_and_bias = decay_norm_and_bias;
      Subject subject(options, SomeWeights());
      const std::vector<at::Tensor> zeros = {at::zeros_like(subject.parameters[0]),
                                             at::zeros_like(subject.parameters[1])};
      for (int step = 0; step < 3; ++step) subject.Step({0.01, momentum}, zeros);
      EXPECT_LT(subject.parameters[0].norm().item<double>(), SomeWeights()[0].norm().item<double>());
      EXPECT_EQ(subject.parameters[1].equal(SomeWeights()[1]), !decay_norm_and_bias);
    }
  });
}

TEST(Optimizer, NoGradientMeansNoStepNoDecayAndNoChangeOfState) {
  ForEveryRule([](const OptimizerOptions& options, double momentum) {
    Subject subject(options, SomeWeights());
    subject.Step({0.1, momentum}, SomeGradients(0));
    const at::Tensor weight = subject.parameters[0].clone();
    std::vector<at::Tensor> state;
    for (const StateTensor& tensor : subject.optimizer->State()) state.push_back(tensor.value.clone());

    subject.Step({0.1, momentum}, {{}, SomeGradients(1)[1]});
    EXPECT_TRUE(subject.parameters[0].equal(weight));
    const std::vector<StateTensor> after = subject.optimizer->State();
    for (size_t i = 0; i < after.size(); ++i) {
      SCOPED_TRACE(after[i].name);
      if (after[i].name.starts_with("p0.")) {
        EXPECT_TRUE(after[i].value.equal(state[i]));
      } else if (after[i].name.starts_with("p1.")) {
        EXPECT_FALSE(after[i].value.equal(state[i]));
      } else {  // a counter per parameter
        EXPECT_TRUE(after[i].value[0].equal(state[i][0]));
        EXPECT_FALSE(after[i].value[1].equal(state[i][1]));
      }
    }
    subject.Step({0.1, momentum}, {{}, {}});
    EXPECT_TRUE(subject.parameters[0].equal(weight));
  });
}

// What a trainer relies on that finds out later that a loss was not finite.
TEST(Optimizer, AStepThatIsSkippedChangesNothing) {
  const at::Tensor yes = at::ones({}, at::TensorOptions(at::kFloat));
  const at::Tensor no = at::zeros({}, at::TensorOptions(at::kFloat));
  for (const OptimizerName name : {OptimizerName::kSgd, OptimizerName::kMomentum, OptimizerName::kNesterov}) {
    OptimizerOptions options = Named(name);
    options.weight_decay = 0.1;
    const double momentum = name == OptimizerName::kSgd ? 0 : 0.9;
    Subject subject(options, {Doubles({1, 2}), Doubles({3})});
    Subject never_asked(options, {Doubles({1, 2}), Doubles({3})});
    ASSERT_TRUE(subject.optimizer->CanSkip());
    const std::vector<at::Tensor> gradients = {Doubles({0.5, -1}), Doubles({2})};
    const std::vector<at::Tensor> no_numbers = {Doubles({NAN, -INFINITY}), Doubles({NAN})};
    subject.Step({0.1, momentum, no}, gradients);
    subject.Step({0.1, momentum, yes}, no_numbers);
    subject.Step({0.1, momentum, no}, gradients);
    never_asked.Step({0.1, momentum}, gradients);
    never_asked.Step({0.1, momentum}, gradients);
    for (size_t p = 0; p < 2; ++p) EXPECT_EQ(Values(subject.parameters[p]), Values(never_asked.parameters[p]));
  }
}

TEST(Optimizer, OnlyRulesOfOneKernelCanSkip) {
  OptimizerOptions decays_apart = Named(OptimizerName::kMomentum);
  decays_apart.weight_decay = 0.1;
  decays_apart.decay = config::WeightDecay::kDecoupled;
  EXPECT_FALSE(Subject(decays_apart, {Doubles({1})}).optimizer->CanSkip());
  EXPECT_FALSE(Subject(Named(OptimizerName::kAdam), {Doubles({1})}).optimizer->CanSkip());
  EXPECT_FALSE(Subject(Named(OptimizerName::kLars), {Doubles({1})}).optimizer->CanSkip());
}

TEST(Optimizer, TheOrderOfTheParametersDoesNotMatter) {
  ForEveryRule([](OptimizerOptions options, double momentum) {
    options.decay_norm_and_bias = false;
    Subject forward(options, SomeWeights());
    std::vector<at::Tensor> weights = SomeWeights();
    std::reverse(weights.begin(), weights.end());
    Subject backward(options, weights);
    for (int step = 0; step < 3; ++step) {
      std::vector<at::Tensor> gradients = SomeGradients(step);
      forward.Step({0.1, momentum}, gradients);
      std::reverse(gradients.begin(), gradients.end());
      backward.Step({0.1, momentum}, gradients);
    }
    EXPECT_TRUE(forward.parameters[0].equal(backward.parameters[1]));
    EXPECT_TRUE(forward.parameters[1].equal(backward.parameters[0]));
  });
}

TEST(Optimizer, MemoryFormatsOfWeightsAndGradientsDoNotMatter) {
  const auto channels_last = at::MemoryFormat::ChannelsLast;
  ForEveryRule([&](const OptimizerOptions& options, double momentum) {
    for (const bool weight_is_channels_last : {false, true}) {
      for (const bool gradient_is_channels_last : {false, true}) {
        Subject plain(options, SomeWeights());
        std::vector<at::Tensor> weights = SomeWeights();
        if (weight_is_channels_last) weights[0] = weights[0].contiguous(channels_last);
        Subject formatted(options, weights);
        for (int step = 0; step < 3; ++step) {
          std::vector<at::Tensor> gradients = SomeGradients(step);
          plain.Step({0.1, momentum}, gradients);
          if (gradient_is_channels_last) gradients[0] = gradients[0].contiguous(channels_last);
          formatted.Step({0.1, momentum}, gradients);
        }
        EXPECT_TRUE(formatted.parameters[0].allclose(plain.parameters[0], 1e-12, 1e-12));
        EXPECT_EQ(formatted.optimizer->State().size(), plain.optimizer->State().size());
      }
    }
  });
}

TEST(Optimizer, StateRestoredIntoAFreshOneGoesOnWithTheSameBits) {
  ForEveryRule([](const OptimizerOptions& options, double momentum) {
    Subject whole(options, SomeWeights());
    for (int step = 0; step < 3; ++step) whole.Step({0.1, momentum}, SomeGradients(step));
    Subject resumed(options, {whole.parameters[0].clone(), whole.parameters[1].clone()});
    const std::vector<StateTensor> saved = whole.optimizer->State();
    const std::vector<StateTensor> fresh = resumed.optimizer->State();
    ASSERT_EQ(saved.size(), fresh.size());
    for (size_t i = 0; i < saved.size(); ++i) {
      EXPECT_EQ(saved[i].name, fresh[i].name);
      fresh[i].value.copy_(saved[i].value);
    }
    for (int step = 3; step < 6; ++step) {
      whole.Step({0.1, momentum / 2}, SomeGradients(step));
      resumed.Step({0.1, momentum / 2}, SomeGradients(step));
    }
    for (size_t p = 0; p < 2; ++p) EXPECT_TRUE(whole.parameters[p].equal(resumed.parameters[p]));
  });
}

TEST(Optimizer, StateIsNamedByParameter) {
  Subject subject(Named(OptimizerName::kAdam), SomeWeights());
  std::vector<std::string> names;
  for (const StateTensor& tensor : subject.optimizer->State()) names.push_back(tensor.name);
  EXPECT_THAT(names, ElementsAre("p0.first_moment", "p1.first_moment", "p0.second_moment", "p1.second_moment", "steps",
                                 "beta1_product"));
  EXPECT_EQ(subject.optimizer->State()[0].value.sizes(), subject.parameters[0].sizes());
}

TEST(Optimizer, GradientsOfBackwardAddUpUntilTheyAreForgotten) {
  ForEveryRule([](const OptimizerOptions& options, double momentum) {
    at::Tensor weight = Doubles({3}).requires_grad_();
    Subject subject(options, {weight});
    (weight.mul(weight)).sum().backward();
    weight.sum().backward();
    EXPECT_EQ(weight.grad().item<double>(), 7);
    subject.optimizer->Step({0.1, momentum});
    EXPECT_EQ(weight.grad().item<double>(), 7);  // left as it is
    EXPECT_NE(weight.item<double>(), 3);
    subject.optimizer->ZeroGradients();
    weight.mul(2).sum().backward();
    EXPECT_EQ(weight.grad().item<double>(), 2);
  });
}

TEST(Optimizer, RefusesWhatWouldRuinTheRun) {
  Scalar plain(Named(OptimizerName::kSgd));
  EXPECT_THROW(plain.Step({0.1, 0.9}, 1), std::logic_error);
  Scalar subject(Named(OptimizerName::kMomentum));
  EXPECT_THROW(subject.Step({std::nan(""), 0.9}, 1), std::logic_error);
  EXPECT_THROW(subject.Step({0.1, 1.0}, 1), std::logic_error);
  EXPECT_THROW(subject.optimizer->ScaleMomentum(HUGE_VAL), std::logic_error);
  subject.parameters[0].set_data(Doubles({1}));  // as a move to another device does
  EXPECT_THROW(subject.Step({0.1, 0.9}, 1), std::logic_error);
}

}  // namespace
}  // namespace crescendo::optim
