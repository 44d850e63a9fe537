#include "crescendo/nn/ghost_batch_norm.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "crescendo/nn/test_support.h"

namespace crescendo::nn {
namespace {

using schedule::Examples;
using schedule::GhostSizes;

// Batch norm and nothing else, with factors and shifts that are not 1 and 0.
class NormModel : public Model {
 public:
  NormModel(int64_t channels, double momentum, double epsilon = 1e-5)
      : norm_(*this, "norm", channels, {.norm_momentum = momentum, .norm_epsilon = epsilon}) {
    const at::NoGradGuard no_gradients;
    parameters()[0].value.add_(Wave({channels}, 1, 0.5));
    parameters()[1].value.add_(Wave({channels}, 2, 0.5));
  }
  at::Tensor mean() const { return buffers()[0].value; }
  at::Tensor variance() const { return buffers()[1].value; }

 protected:
  at::Tensor Run(const at::Tensor& inputs, const GhostSizes* ghosts) override { return norm_(inputs, ghosts); }

 private:
  GhostBatchNorm norm_;
};

constexpr int64_t kFeatures = 5;

struct Result {
  at::Tensor output;
  at::Tensor inputs_grad;
  std::map<std::string, at::Tensor> outcome;
};

// The gradients are those of sum(output * Wave): of sum(output) they would be 0.
at::Tensor Probe(const at::Tensor& output) { return Wave(output.sizes(), 3, 1).to(output.scalar_type()); }

// Each element of `micro_batches` is one call of Forward.
Result Train(Model& model, const at::Tensor& inputs, const std::vector<GhostSizes>& micro_batches) {
  const at::Tensor leaf = inputs.detach().clone().requires_grad_();
  const at::Tensor probe = Probe(inputs);
  std::vector<at::Tensor> outputs;
  int64_t begin = 0;
  for (const GhostSizes& ghosts : micro_batches) {
    int64_t size = 0;
    for (const int64_t ghost : ghosts) size += ghost;
    outputs.push_back(model.Forward(leaf.narrow(0, begin, size), ghosts));
    outputs.back().mul(probe.narrow(0, begin, size)).sum().backward();
    begin += size;
  }
  return {at::cat(outputs).detach(), leaf.grad(), Outcome(model)};
}

// The definition, in double precision, one ghost after the other.
Result PlainReference(double momentum, const at::Tensor& inputs, const GhostSizes& ghosts) {
  const int64_t channels = inputs.size(1);
  const bool images = inputs.dim() == 4;
  const std::vector<int64_t> over = images ? std::vector<int64_t>{0, 2, 3} : std::vector<int64_t>{0};
  const std::vector<int64_t> broadcast =
      images ? std::vector<int64_t>{1, channels, 1, 1} : std::vector<int64_t>{1, channels};
  const at::Tensor weight = Wave({channels}, 1, 0.5).add(1).to(at::kDouble).requires_grad_();
  const at::Tensor bias = Wave({channels}, 2, 0.5).to(at::kDouble).requires_grad_();
  const at::Tensor leaf = inputs.detach().to(at::kDouble).requires_grad_();
  at::Tensor running_mean = at::ones({channels}, at::kDouble).mul(0);
  at::Tensor running_variance = at::ones({channels}, at::kDouble);
  std::vector<at::Tensor> outputs;
  int64_t begin = 0;
  for (const int64_t size : ghosts) {
    const at::Tensor ghost = leaf.narrow(0, begin, size);
    begin += size;
    const at::Tensor mean = ghost.mean(over, /*keepdim=*/true);
    const at::Tensor variance = ghost.sub(mean).square().mean(over, /*keepdim=*/true);
    outputs.push_back(
        ghost.sub(mean).div(variance.add(1e-5).sqrt()).mul(weight.view(broadcast)).add(bias.view(broadcast)));
    const int64_t values = ghost.numel() / channels;
    running_mean = running_mean.mul(1 - momentum).add(mean.detach().flatten(), momentum);
    running_variance =
        running_variance.mul(1 - momentum)
            .add(variance.detach().flatten(), momentum * static_cast<double>(values) / static_cast<double>(values - 1));
  }
  const at::Tensor output = at::cat(outputs);
  output.mul(Probe(inputs).to(at::kDouble)).sum().backward();
  return {output.detach(),
          leaf.grad(),
          {{"norm.weight", weight.grad()},
           {"norm.bias", bias.grad()},
           {"norm.running_mean", running_mean},
           {"norm.running_var", running_variance}}};
}

void ExpectSame(const Result& got, const Result& expected, double tolerance) {
  EXPECT_LT(RelativeDifference(got.output, expected.output), tolerance) << "output";
  EXPECT_LT(RelativeDifference(got.inputs_grad, expected.inputs_grad), tolerance) << "gradient of the inputs";
  ASSERT_EQ(got.outcome.size(), expected.outcome.size());
  for (const auto& [name, value] : expected.outcome) {
    EXPECT_LT(RelativeDifference(got.outcome.at(name), value), tolerance) << name;
  }
}

// Later examples are larger, so that no two ghosts have the same statistics.
at::Tensor GrowingWave(const std::vector<int64_t>& shape) {
  std::vector<int64_t> per_example(shape.size(), 1);
  per_example[0] = shape[0];
  return Wave(shape, 0.5, 1).add(1).mul(at::arange(1, shape[0] + 1, at::kFloat).view(per_example)).div(10);
}
at::Tensor Images(int64_t count) { return GrowingWave({count, 3, 4, 5}).contiguous(at::MemoryFormat::ChannelsLast); }
at::Tensor Rows(int64_t count) { return GrowingWave({count, kFeatures}); }

class GhostBatchNormTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { at::set_num_threads(1); }
};

// One feature, ghosts (1, 3) and (10, 20): means 2 and 15, unbiased variances 2 and 50. With a = 1/2 the running mean
// goes 0, 1, 8 and the running variance 1, 1.5, 25.75.
TEST_F(GhostBatchNormTest, ExampleWorkedByHand) {
  struct Plain : Model {
    GhostBatchNorm norm{*this, "norm", 1, {.norm_momentum = 0.5, .norm_epsilon = 0}};
    at::Tensor Run(const at::Tensor& inputs, const GhostSizes* ghosts) override { return norm(inputs, ghosts); }
  };
  for (const std::vector<GhostSizes>& micro_batches : {std::vector<GhostSizes>{{2, 2}}, {{2}, {2}}}) {
    Plain model;
    const Result result = Train(model, at::tensor({1.F, 3.F, 10.F, 20.F}).view({4, 1}), micro_batches);
    EXPECT_TRUE(result.output.flatten().equal(at::tensor({-1.F, 1.F, -1.F, 1.F}))) << result.output;
    EXPECT_EQ(model.buffers()[0].value.item<float>(), 8);
    EXPECT_EQ(model.buffers()[1].value.item<float>(), 25.75);
  }
}

TEST_F(GhostBatchNormTest, EqualsThePlainReference) {
  for (const GhostSizes& ghosts : {GhostSizes{9}, {3, 3, 3}, {5, 4}, {4, 3, 3}, {4, 3, 3, 3, 3}}) {
    for (const double momentum : {0.1, 0.3, 1.0}) {
      int64_t count = 0;
      for (const int64_t size : ghosts) count += size;
      for (const at::Tensor& inputs : {Rows(count), Images(count)}) {
        SCOPED_TRACE(::testing::PrintToString(ghosts) + ", momentum " + std::to_string(momentum) + ", dimensions " +
                     std::to_string(inputs.dim()));
        NormModel model(inputs.size(1), momentum);
        ExpectSame(Train(model, inputs, {ghosts}), PlainReference(momentum, inputs, ghosts), 3e-6);
      }
    }
  }
}

TEST_F(GhostBatchNormTest, DoesNotDependOnTheMicroBatches) {
  for (const at::Tensor& inputs : {Rows(23), Images(23)}) {
    NormModel whole(inputs.size(1), 0.1);
    const Result expected = Train(whole, inputs, {{5, 5, 5, 4, 4}});
    for (const std::vector<GhostSizes>& micro_batches :
         {std::vector<GhostSizes>{{5}, {5}, {5}, {4}, {4}}, {{5, 5}, {5, 4}, {4}}, {{5}, {5, 5, 4, 4}}}) {
      NormModel parts(inputs.size(1), 0.1);
      ExpectSame(Train(parts, inputs, micro_batches), expected, 2e-6);
    }
    // What these tolerances are far below: the same examples with their statistics from all 23.
    NormModel one_ghost(inputs.size(1), 0.1);
    EXPECT_GT(RelativeDifference(Train(one_ghost, inputs, {{23}}).output, expected.output), 1e-2);
  }
}

// The same 64 examples in updates of 4, 16 and 64: what is remembered of the first is the same.
TEST_F(GhostBatchNormTest, MemoryOfTheRunningStatisticsIsConstantInExamples) {
  for (const at::Tensor& inputs : {Rows(64), Images(64)}) {
    std::vector<at::Tensor> means;
    std::vector<at::Tensor> variances;
    for (const int64_t global_batch : {4, 16, 64}) {
      NormModel model(inputs.size(1), 0.1);
      for (int64_t begin = 0; begin < 64; begin += global_batch) {
        model.Forward(inputs.narrow(0, begin, global_batch),
                      schedule::SplitIntoGhosts(Examples{global_batch}, Examples{4}));
      }
      means.push_back(model.mean());
      variances.push_back(model.variance());
    }
    for (const size_t i : {1, 2}) {
      EXPECT_LT(RelativeDifference(means[i], means[0]), 2e-6);
      EXPECT_LT(RelativeDifference(variances[i], variances[0]), 2e-6);
    }
  }
}

TEST_F(GhostBatchNormTest, EvaluationIgnoresGhostsAndChangesNothing) {
  for (const at::Tensor& inputs : {Rows(8), Images(8)}) {
    NormModel model(inputs.size(1), 0.3);
    model.Forward(inputs, {4, 4});
    const at::Tensor mean = model.mean().clone();
    const at::Tensor variance = model.variance().clone();
    const at::Tensor together = model.Evaluate(inputs);
    std::vector<at::Tensor> alone;
    for (int64_t i = 0; i < 8; ++i) alone.push_back(model.Evaluate(inputs.narrow(0, i, 1)));
    EXPECT_LT(RelativeDifference(at::cat(alone), together), 1e-6);
    EXPECT_GT(RelativeDifference(model.Forward(inputs, {4, 4}), together), 1e-2);
    model.mean().copy_(mean);
    model.variance().copy_(variance);
    model.Evaluate(inputs);
    EXPECT_TRUE(model.mean().equal(mean));
    EXPECT_TRUE(model.variance().equal(variance));
  }
}

TEST_F(GhostBatchNormTest, GhostOfOneRowUsesTheRunningStatisticsAndLeavesThem) {
  NormModel model(kFeatures, 0.3);
  model.Forward(Rows(8), {8});
  const at::Tensor mean = model.mean().clone();
  const at::Tensor variance = model.variance().clone();
  const Result result = Train(model, Rows(1), {{1}});
  EXPECT_TRUE(result.output.equal(model.Evaluate(Rows(1))));
  EXPECT_TRUE(result.inputs_grad.isfinite().all().item<bool>());
  EXPECT_TRUE(model.mean().equal(mean));
  EXPECT_TRUE(model.variance().equal(variance));

  // Beside others it counts as the example it is, but has no part in the statistics.
  NormModel beside(kFeatures, 0.3);
  beside.Forward(Rows(3), {2, 1});
  NormModel without(kFeatures, 0.3);
  without.Forward(Rows(3).narrow(0, 0, 2), {2});
  EXPECT_LT(RelativeDifference(beside.mean(), without.mean()), 1e-6);
  EXPECT_LT(RelativeDifference(beside.variance(), without.variance()), 1e-6);
}

// The mean is 300 deviations away from 0: in bfloat16, whose steps there are as large as the deviation, nothing of the
// variance would be left. The inputs are exact in bfloat16.
TEST_F(GhostBatchNormTest, StatisticsOfBfloat16InputsAreFp32) {
  for (const bool images : {false, true}) {
    const std::vector<int64_t> shape = images ? std::vector<int64_t>{32, 3, 4, 4} : std::vector<int64_t>{512, 3};
    const at::Tensor exact = Wave(shape, 0.5, 1).sign().add(300).add(Wave(shape, 1, 1).sign());  // 298, 300 or 302
    const at::Tensor inputs = exact.to(at::kBFloat16);
    ASSERT_TRUE(inputs.to(at::kFloat).equal(exact));
    for (const std::vector<GhostSizes>& ghosts :
         {std::vector<GhostSizes>{{shape[0]}}, {{shape[0] / 2, shape[0] / 2}}}) {
      NormModel model(3, 0.3);
      const Result got = Train(model, inputs, ghosts);
      const Result expected = PlainReference(0.3, exact, ghosts[0]);
      EXPECT_EQ(got.output.scalar_type(), at::kBFloat16);
      EXPECT_EQ(model.mean().scalar_type(), at::kFloat);
      EXPECT_LT(RelativeDifference(model.mean(), expected.outcome.at("norm.running_mean")), 1e-6);
      EXPECT_LT(RelativeDifference(model.variance(), expected.outcome.at("norm.running_var")), 1e-4);
      EXPECT_LT(RelativeDifference(got.output, expected.output), 6e-3);  // half a step of bfloat16 is 2^-9 of a value
    }
  }
}

TEST_F(GhostBatchNormTest, MemoryLayoutOfImagesIsKept) {
  NormModel model(3, 0.1);
  EXPECT_TRUE(model.Forward(Images(8), {8}).is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(model.Forward(Images(8), {4, 4}).is_contiguous(at::MemoryFormat::ChannelsLast));
}

TEST_F(GhostBatchNormTest, GhostsThatDoNotMakeUpTheBatchAreOurMistake) {
  NormModel model(kFeatures, 0.1);
  EXPECT_THROW(model.Forward(Rows(8), {4, 3}), std::logic_error);
  EXPECT_THROW(model.Forward(Rows(8), {}), std::logic_error);
}

}  // namespace
}  // namespace crescendo::nn
