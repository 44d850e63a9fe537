#include "crescendo/nn/backward.h"

#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <map>
#include <memory>
#include <string>

#include "crescendo/nn/loss.h"
#include "crescendo/nn/registry.h"
#include "crescendo/nn/test_support.h"

namespace crescendo::nn {
namespace {

using config::ModelName;
using config::ModelOptions;

class BackwardTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { at::set_num_threads(1); }

  // After two micro-batches of 12 examples, which add up.
  template <class Pass>
  static std::map<std::string, at::Tensor> OutcomeAfter(const ModelOptions& options, at::IntArrayRef shape,
                                                        const Pass& pass) {
    const auto model = BuildModel(options, shape.vec(), 5, 1);
    std::vector<int64_t> batch = {12};
    batch.insert(batch.end(), shape.begin(), shape.end());
    for (int step = 0; step < 2; ++step) {
      const at::Tensor loss =
          SummedCrossEntropy(model->Forward(Wave(batch, step, 1), {4, 4, 4}), at::arange(12, at::kLong).remainder(5));
      pass(loss, at::full({}, 1 / 24.0));
    }
    return Outcome(*model);
  }
};

TEST_F(BackwardTest, GivesTheBitsOfTheEngine) {
  struct Case {
    ModelOptions options;
    std::vector<int64_t> shape;
  };
  const Case cases[] = {{{.name = ModelName::kMlp, .hidden = {16, 8}}, {7}},
                        {{.name = ModelName::kMlp, .hidden = {16}, .batch_norm = false}, {7}},
                        {{.name = ModelName::kMlp, .hidden = {}}, {7}},
                        {{.name = ModelName::kWideResNet, .depth = 10, .width = 1}, {3, 8, 8}}};
  for (const Case& given : cases) {
    const auto expected =
        OutcomeAfter(given.options, given.shape,
                     [](const at::Tensor& loss, const at::Tensor& gradient) { loss.backward(gradient); });
    const auto got = OutcomeAfter(given.options, given.shape, Backward);
    ASSERT_EQ(got.size(), expected.size());
    for (const auto& [name, value] : expected) EXPECT_TRUE(got.at(name).equal(value)) << name;
  }
}

// As the engine does: the buckets of many workers are filled by such hooks.
TEST_F(BackwardTest, CallsTheHooksOfLeavesTheLastFirst) {
  struct Hook : torch::autograd::PostAccumulateGradHook {
    Hook(std::vector<std::string>& all, std::string own) : called(all), name(std::move(own)) {}
    void operator()(const at::Tensor& leaf) override { called.push_back(leaf.grad().defined() ? name : "too early"); }
    std::vector<std::string>& called;
    std::string name;
  };
  const auto model = BuildModel({.name = ModelName::kMlp, .hidden = {6}}, {7}, 5, 1);
  std::vector<std::string> called;
  for (const NamedTensor& parameter : model->parameters()) {
    torch::autograd::impl::set_post_acc_grad_hooks(parameter.value, std::make_unique<Hook>(called, parameter.name));
  }
  const at::Tensor loss = SummedCrossEntropy(model->Forward(Wave({4, 7}, 1, 1), {4}), at::arange(4, at::kLong));
  Backward(loss, at::full({}, 1.0));
  std::vector<std::string> names = Names(model->parameters());
  ASSERT_EQ(called.size(), names.size());
  EXPECT_EQ(called.front().substr(0, 6), names.back().substr(0, 6));
  EXPECT_EQ(called.back().substr(0, 8), names.front().substr(0, 8));
  EXPECT_ANY_THROW(Backward(loss, at::full({}, 1.0))) << "what it needed is gone";
}

}  // namespace
}  // namespace crescendo::nn
