#include "crescendo/nn/loss.h"

#include <ATen/Parallel.h>
#include <ATen/core/Reduction.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "crescendo/nn/test_support.h"

namespace crescendo::nn {
namespace {

// Logits (0, ln 3) are probabilities (1/4, 3/4).
TEST(SummedCrossEntropy, IsTheSumOfTheLogarithms) {
  const auto log_of_3 = static_cast<float>(std::log(3.0));
  const at::Tensor logits = at::tensor({0.0F, log_of_3, 0.0F, log_of_3}).view({2, 2}).requires_grad_();
  const at::Tensor loss = SummedCrossEntropy(logits, at::tensor({int64_t{0}, int64_t{1}}));
  EXPECT_NEAR(loss.item<double>(), std::log(4.0) + std::log(4.0 / 3), 1e-6);
  loss.backward(at::full({}, 2.0));  // twice: softmax less one at the label
  const at::Tensor expected = at::tensor({-1.5F, 1.5F, 0.5F, -0.5F}).view({2, 2});
  EXPECT_LT(RelativeDifference(logits.grad(), expected), 1e-6);
}

TEST(SummedCrossEntropy, IsLibTorchsInEveryType) {
  at::set_num_threads(1);
  const at::Tensor labels = at::tensor({int64_t{3}, int64_t{0}, int64_t{9}, int64_t{9}, int64_t{5}});
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor a = Wave({5, 10}, 1, 4).to(type).requires_grad_();
    const at::Tensor b = Wave({5, 10}, 1, 4).to(type).requires_grad_();
    const at::Tensor ours = SummedCrossEntropy(a, labels);
    const at::Tensor expected = at::cross_entropy_loss(b.to(at::kFloat), labels, {}, at::Reduction::Sum);
    EXPECT_EQ(ours.scalar_type(), at::kFloat);
    EXPECT_NEAR(ours.item<double>(), expected.item<double>(), 1e-5);
    ours.backward();
    expected.backward();
    EXPECT_EQ(a.grad().scalar_type(), type);
    EXPECT_LT(RelativeDifference(a.grad(), b.grad()), type == at::kFloat ? 1e-6 : 0.01);
  }
}

TEST(SummedCrossEntropy, IsNotFiniteWhereTheLogitsAreNot) {
  const at::Tensor labels = at::tensor({int64_t{0}});
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(SummedCrossEntropy(at::tensor({nan, 1.0F}).view({1, 2}), labels).item<double>()));
}

}  // namespace
}  // namespace crescendo::nn
