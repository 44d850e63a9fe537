#include "crescendo/nn/linear_function.h"

#include <ATen/Parallel.h>
#include <ATen/ops/linear.h>
#include <gtest/gtest.h>

#include "crescendo/nn/test_support.h"

namespace crescendo::nn {
namespace {

// A linear layer's tensors, leaves that want gradients.
struct Leaves {
  at::Tensor inputs = Wave({7, 5}, 1, 1).requires_grad_();
  at::Tensor weight = Wave({3, 5}, 2, 0.5).requires_grad_();
  at::Tensor bias = Wave({3}, 3, 0.5).requires_grad_();
};

void WeighAndGoBack(const at::Tensor& outputs) { outputs.mul(Wave(outputs.sizes(), 4, 1)).sum().backward(); }

TEST(LinearFunction, IsLibTorchsLinear) {
  at::set_num_threads(1);
  for (const bool with_bias : {true, false}) {
    const Leaves a;
    const Leaves b;
    ASSERT_TRUE(CanMultiplyTable(a.inputs, a.weight));
    const at::Tensor ours = MultiplyTable(a.inputs, a.weight, with_bias ? a.bias : at::Tensor());
    const at::Tensor expected = at::linear(b.inputs, b.weight, with_bias ? b.bias : at::Tensor());
    EXPECT_LT(RelativeDifference(ours.detach(), expected.detach()), 1e-6);
    WeighAndGoBack(ours);
    WeighAndGoBack(expected);
    EXPECT_LT(RelativeDifference(a.inputs.grad(), b.inputs.grad()), 1e-6);
    EXPECT_LT(RelativeDifference(a.weight.grad(), b.weight.grad()), 1e-6);
    ASSERT_EQ(a.bias.grad().defined(), with_bias);
    if (!with_bias) continue;
    EXPECT_LT(RelativeDifference(a.bias.grad(), b.bias.grad()), 1e-6);
  }
}

TEST(LinearFunction, GradientsOfMicroBatchesAddUp) {
  at::set_num_threads(1);
  const Leaves whole;
  const Leaves split;
  MultiplyTable(whole.inputs, whole.weight, whole.bias).sum().backward();
  for (const int64_t begin : {0, 4}) {
    const at::Tensor part = split.inputs.narrow(0, begin, begin == 0 ? 4 : 3);
    MultiplyTable(part, split.weight, split.bias).sum().backward();
  }
  EXPECT_LT(RelativeDifference(split.inputs.grad(), whole.inputs.grad()), 1e-6);
  EXPECT_LT(RelativeDifference(split.weight.grad(), whole.weight.grad()), 1e-6);
  EXPECT_LT(RelativeDifference(split.bias.grad(), whole.bias.grad()), 1e-6);
}

TEST(LinearFunction, InputsThatWantNoGradientGetNone) {
  const Leaves leaves;
  MultiplyTable(leaves.inputs.detach(), leaves.weight, leaves.bias).sum().backward();
  EXPECT_FALSE(leaves.inputs.grad().defined());
  EXPECT_TRUE(leaves.weight.grad().defined());
  EXPECT_FALSE(MultiplyTable(leaves.inputs.detach(), leaves.weight.detach(), {}).requires_grad());
}

TEST(LinearFunction, NoticesAWeightThatChangedBeforeBackward) {
  const Leaves leaves;
  const at::Tensor outputs = MultiplyTable(leaves.inputs, leaves.weight, leaves.bias);
  leaves.weight.detach().add_(1);
  EXPECT_THROW(outputs.sum().backward(), c10::Error);
}

// A gradient of a gradient would be wrong in silence: our backward pass is not recorded.
TEST(LinearFunction, RefusesToBeDifferentiatedTwice) {
  const Leaves leaves;
  const at::Tensor sum = MultiplyTable(leaves.inputs, leaves.weight, leaves.bias).sum();
  EXPECT_ANY_THROW(sum.backward({}, /*retain_graph=*/true, /*create_graph=*/true));
}

TEST(LinearFunction, LeavesOtherTypesAndLayoutsToLibTorch) {
  const Leaves leaves;
  EXPECT_FALSE(CanMultiplyTable(leaves.inputs.to(at::kDouble), leaves.weight.to(at::kDouble)));
  EXPECT_FALSE(CanMultiplyTable(Wave({5, 7}, 1, 1).t(), leaves.weight));
  EXPECT_FALSE(CanMultiplyTable(Wave({2, 7, 5}, 1, 1), leaves.weight));
}

}  // namespace
}  // namespace crescendo::nn
