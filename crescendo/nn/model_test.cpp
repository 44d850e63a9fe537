#include "crescendo/nn/model.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "crescendo/device/device.h"
#include "crescendo/nn/initial_weights.h"
#include "crescendo/nn/loss.h"
#include "crescendo/nn/registry.h"
#include "crescendo/nn/test_support.h"

namespace crescendo::nn {
namespace {

using config::ModelName;
using config::ModelOptions;
using schedule::Examples;
using schedule::GhostSizes;
using schedule::MicroBatch;
using ::testing::ElementsAre;

class ModelTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { at::set_num_threads(1); }
};

const ModelOptions kSmallWideResNet = {.name = ModelName::kWideResNet, .depth = 10, .width = 1};

ModelOptions SmallMlp(bool batch_norm) { return {.name = ModelName::kMlp, .hidden = {6, 5}, .batch_norm = batch_norm}; }

// Gradient and running statistics of one update of 10 examples.
std::map<std::string, at::Tensor> Update(const ModelOptions& options, const std::vector<int64_t>& shape,
                                         int64_t ghost_batch, int64_t micro_batch) {
  const auto model = BuildModel(options, shape, 4, 1);
  std::vector<int64_t> batch_shape = {10};
  batch_shape.insert(batch_shape.end(), shape.begin(), shape.end());
  const at::Tensor inputs = Wave(batch_shape, 0, 1).add(Wave(batch_shape, 1, 1).pow(3));
  const at::Tensor labels = at::arange(10, at::kLong).remainder(4);
  for (const MicroBatch& part :
       schedule::SplitIntoMicroBatches(Examples{10}, Examples{ghost_batch}, Examples{micro_batch})) {
    const int64_t begin = part.begin.value();
    const int64_t size = part.size.value();
    SummedCrossEntropy(model->Forward(inputs.narrow(0, begin, size), part.ghosts), labels.narrow(0, begin, size))
        .div(10)
        .backward();
  }
  return Outcome(*model);
}

double LargestDifference(const std::map<std::string, at::Tensor>& got,
                         const std::map<std::string, at::Tensor>& expected) {
  double largest = 0;
  for (const auto& [name, value] : expected) largest = std::max(largest, RelativeDifference(got.at(name), value));
  return largest;
}

TEST_F(ModelTest, GradientsAndRunningStatisticsDoNotDependOnTheMicroBatch) {
  const std::pair<ModelOptions, std::vector<int64_t>> cases[] = {
      {kSmallWideResNet, {3, 8, 8}}, {SmallMlp(true), {7}}, {SmallMlp(false), {7}}};
  for (const auto& [options, shape] : cases) {
    SCOPED_TRACE(NameOf(options.name));
    const auto whole = Update(options, shape, /*ghost_batch=*/2, /*micro_batch=*/10);
    for (const int64_t micro_batch : {2, 4, 6}) {
      EXPECT_LT(LargestDifference(Update(options, shape, 2, micro_batch), whole), 1e-5) << micro_batch;
    }
    const bool has_norm = options.name != ModelName::kMlp || options.batch_norm;
    if (has_norm) {
      EXPECT_GT(LargestDifference(Update(options, shape, /*ghost_batch=*/5, 10), whole), 1e-2) << "what ghosts change";
    } else {
      EXPECT_LT(LargestDifference(Update(options, shape, /*ghost_batch=*/5, 10), whole), 1e-5);
    }
  }
}

TEST_F(ModelTest, EvaluationSeesEachExampleAlone) {
  const auto model = BuildModel(kSmallWideResNet, {3, 8, 8}, 4, 1);
  const at::Tensor inputs = Wave({6, 3, 8, 8}, 0, 1).add(Wave({6, 3, 8, 8}, 1, 1).pow(3));
  model->Forward(inputs, {3, 3});
  const at::NoGradGuard no_gradients;
  const at::Tensor together = model->Evaluate(inputs);
  std::vector<at::Tensor> alone;
  for (int64_t i = 0; i < 6; ++i) alone.push_back(model->Evaluate(inputs.narrow(0, i, 1)));
  EXPECT_LT(RelativeDifference(at::cat(alone), together), 1e-5);
}

TEST_F(ModelTest, WideResNetsHaveThePublishedSizes) {
  const auto parameters = [](int64_t depth, int64_t width, int64_t classes) {
    return BuildModel({.name = ModelName::kWideResNet, .depth = depth, .width = width}, {3, 32, 32}, classes, 1)
        ->parameter_count();
  };
  EXPECT_EQ(parameters(16, 4, 10), 2'748'890);
  EXPECT_EQ(parameters(28, 10, 10), 36'479'194);
  EXPECT_EQ(parameters(16, 4, 100) - parameters(16, 4, 10), 90 * (256 + 1));
}

TEST_F(ModelTest, WideResNetTakesGreyImagesAndTheSmallestOnes) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{1, 28, 28}, {3, 4, 4}, {3, 32, 32}}) {
    const auto model = BuildModel(kSmallWideResNet, shape, 10, 1);
    const at::Tensor inputs = Wave({3, shape[0], shape[1], shape[2]}, 0, 1);
    const at::Tensor logits = model->Forward(inputs, {2, 1});
    EXPECT_THAT(logits.sizes(), ElementsAre(3, 10));
    EXPECT_TRUE(logits.isfinite().all().item<bool>());
  }
}

TEST_F(ModelTest, NamesArePyTorchs) {
  const auto model = BuildModel(kSmallWideResNet, {3, 8, 8}, 4, 1);
  const std::vector<std::string> parameters = Names(model->parameters());
  EXPECT_THAT(std::vector(parameters.begin(), parameters.begin() + 8),
              ElementsAre("conv.weight", "blocks.0.bn1.weight", "blocks.0.bn1.bias", "blocks.0.conv1.weight",
                          "blocks.0.bn2.weight", "blocks.0.bn2.bias", "blocks.0.conv2.weight", "blocks.1.bn1.weight"));
  EXPECT_TRUE(Find(model->parameters(), "blocks.1.short.weight").defined());
  EXPECT_FALSE(Find(model->parameters(), "blocks.0.short.weight").defined()) << "the widths are equal";
  EXPECT_EQ(parameters.back(), "fc.bias");
  EXPECT_THAT(Names(BuildModel(SmallMlp(true), {7}, 4, 1)->buffers()),
              ElementsAre("hidden.0.norm.running_mean", "hidden.0.norm.running_var", "hidden.1.norm.running_mean",
                          "hidden.1.norm.running_var"));
  EXPECT_THAT(Names(BuildModel(SmallMlp(false), {7}, 4, 1)->parameters()),
              ElementsAre("hidden.0.linear.weight", "hidden.0.linear.bias", "hidden.1.linear.weight",
                          "hidden.1.linear.bias", "output.weight", "output.bias"));
}

TEST_F(ModelTest, ParametersAreFp32AndRequireGradientsAndBuffersDoNot) {
  const auto model = BuildModel(kSmallWideResNet, {3, 8, 8}, 4, 1);
  for (const NamedTensor& parameter : model->parameters()) {
    EXPECT_TRUE(parameter.value.requires_grad() && parameter.value.scalar_type() == at::kFloat) << parameter.name;
  }
  for (const NamedTensor& buffer : model->buffers()) {
    EXPECT_TRUE(!buffer.value.requires_grad() && buffer.value.scalar_type() == at::kFloat) << buffer.name;
  }
}

TEST_F(ModelTest, MlpFlattensImages) {
  const auto images = BuildModel(SmallMlp(true), {2, 3, 4}, 4, 1);
  const auto rows = BuildModel(SmallMlp(true), {24}, 4, 1);
  const at::Tensor inputs = Wave({5, 2, 3, 4}, 0, 1);
  EXPECT_TRUE(images->Forward(inputs, {3, 2}).equal(rows->Forward(inputs.flatten(1), {3, 2})));
}

TEST_F(ModelTest, MlpWithoutHiddenLayersIsLogisticRegression) {
  const auto model = BuildModel({.name = ModelName::kMlp, .hidden = {}}, {7}, 4, 1);
  EXPECT_EQ(model->parameter_count(), 7 * 4 + 4);
  const at::Tensor inputs = Wave({5, 7}, 0, 1);
  EXPECT_TRUE(model->Forward(inputs, {3, 2}).equal(model->Evaluate(inputs)));
}

TEST_F(ModelTest, InitialWeightsHaveTheDeviationOfHeAndTheRestIsNeutral) {
  const auto model = BuildModel({.name = ModelName::kWideResNet, .depth = 10, .width = 4}, {3, 32, 32}, 10, 7);
  for (const NamedTensor& parameter : model->parameters()) {
    const at::Tensor& value = parameter.value;
    if (value.dim() == 1) {
      EXPECT_TRUE(value.eq(parameter.name.ends_with("weight") ? 1 : 0).all().item<bool>()) << parameter.name;
      continue;
    }
    const int64_t inputs = value.numel() / value.size(0);
    const double deviation = std::sqrt((parameter.name == "fc.weight" ? 1 : 2) / static_cast<double>(inputs));
    const auto count = static_cast<double>(value.numel());
    // Four standard errors.
    EXPECT_NEAR(value.mean().item<double>() / deviation, 0, 4 / std::sqrt(count)) << parameter.name;
    EXPECT_NEAR(value.std().item<double>() / deviation, 1, 4 / std::sqrt(2 * count)) << parameter.name;
  }
}

TEST_F(ModelTest, InitialWeightsAreNormal) {
  const at::Tensor sorted = std::get<0>(InitialWeights(3).Normal({100'000}, 1).sort());
  // Quantiles of the normal distribution, and the standard error of each from 100,000 draws.
  const std::tuple<double, double, double> quantiles[] = {
      {0.001, -3.0902, 0.03}, {0.1587, -1, 0.005}, {0.5, 0, 0.004}, {0.8413, 1, 0.005}, {0.999, 3.0902, 0.03}};
  for (const auto& [share, value, error] : quantiles) {
    EXPECT_NEAR(sorted[static_cast<int64_t>(share * 100'000)].item<double>(), value, 4 * error) << share;
  }
  EXPECT_LT(sorted.abs().max().item<double>(), 6.7) << "the largest of 32 bits";
}

TEST_F(ModelTest, InitialWeightsAreAFunctionOfTheSeed) {
  const auto weights = [](uint64_t seed) {
    std::vector<at::Tensor> all;
    const auto model = BuildModel(kSmallWideResNet, {3, 8, 8}, 4, seed);
    for (const NamedTensor& parameter : model->parameters()) {
      if (parameter.value.dim() > 1) all.push_back(parameter.value.flatten());
    }
    return at::cat(all);
  };
  const at::Tensor first = weights(1);
  at::set_num_threads(2);
  EXPECT_TRUE(weights(1).equal(first)) << "whatever the threads";
  at::set_num_threads(1);
  EXPECT_LT(weights(2).eq(first).sum().item<int64_t>(), 10);
  // No tensor repeats another: the first elements of all are different.
  InitialWeights draws(1);
  EXPECT_FALSE(draws.Normal({5}, 1).equal(draws.Normal({5}, 1)));
  // A seed means the same weights for ever; these are from a few lines of Python that do the same.
  const at::Tensor golden = InitialWeights(1).Normal({3}, 1);
  EXPECT_LT(RelativeDifference(golden, at::tensor({0.76966469F, 0.52612422F, -0.43629621F})), 1e-6) << golden;
}

TEST_F(ModelTest, ComputesTheSameOnAGpu) {
  const at::Device device = device::ChooseDevice(config::DeviceName::kAuto);
  if (device.is_cpu()) GTEST_SKIP() << "no GPU to compare with";
  device::KeepFp32Exact();
  const at::Tensor inputs = Wave({6, 3, 8, 8}, 0, 1).add(Wave({6, 3, 8, 8}, 1, 1).pow(3));
  const at::Tensor labels = at::arange(6, at::kLong).remainder(4);
  const auto outcome = [&](at::Device where) {
    const auto model = BuildModel(kSmallWideResNet, {3, 8, 8}, 4, 1);
    model->To(where);
    SummedCrossEntropy(model->Forward(inputs.to(where), {3, 3}), labels.to(where)).backward();
    std::map<std::string, at::Tensor> result = Outcome(*model);
    for (auto& [name, value] : result) {
      EXPECT_EQ(value.device(), where) << name;
      value = value.cpu();
    }
    return result;
  };
  EXPECT_LT(LargestDifference(outcome(device), outcome(at::kCPU)), 5e-3);
}

// At equal logits each example costs log(classes), and one class 20 ahead costs about 2e-9.
TEST_F(ModelTest, CrossEntropyIsASumInFp32) {
  const at::Tensor labels = at::tensor({0, 1, 2}, at::kLong);
  EXPECT_NEAR(SummedCrossEntropy(at::zeros({3, 4}), labels).item<double>(), 3 * std::log(4), 1e-6);
  const at::Tensor sure = at::tensor({20.F, 0.F}).view({1, 2});
  EXPECT_NEAR(SummedCrossEntropy(sure, at::tensor({1}, at::kLong)).item<double>(), 20, 1e-6);

  const at::Tensor logits = Wave({3, 4}, 0, 2).to(at::kBFloat16);
  const at::Tensor loss = SummedCrossEntropy(logits, labels);
  EXPECT_EQ(loss.scalar_type(), at::kFloat);
  double parts = 0;
  for (int64_t i = 0; i < 3; ++i) {
    parts += SummedCrossEntropy(logits.narrow(0, i, 1), labels.narrow(0, i, 1)).item<double>();
  }
  EXPECT_NEAR(loss.item<double>(), parts, 1e-6);
}

}  // namespace
}  // namespace crescendo::nn
