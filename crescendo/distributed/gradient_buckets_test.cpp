#include "crescendo/distributed/gradient_buckets.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include "crescendo/distributed/test_support.h"

namespace crescendo::distributed {
namespace {

// Remembers in which order sums began, and whether a backward pass was still to end; adds nothing.
class Recorder : public Group {
 public:
  explicit Recorder(int64_t size = 2) : size_(size) {}
  int64_t rank() const override { return 0; }
  int64_t size() const override { return size_; }
  std::unique_ptr<Pending> BeginSum(const at::Tensor& values) override {
    begun.push_back(values);
    return std::make_unique<Done>(*this);
  }
  void Max(const at::Tensor& /*values*/) override {}
  void Broadcast(const at::Tensor& /*values*/) override {}
  void RequireAllWell() override {}
  void Abandon(const std::string& /*reason*/) override {}
  double waited_seconds() const override { return 0; }

  std::vector<at::Tensor> begun;
  size_t waited = 0;

 private:
  struct Done : Pending {
    explicit Done(Recorder& owner) : recorder(owner) {}
    void Wait() override { ++recorder.waited; }
    Recorder& recorder;
  };
  int64_t size_;
};

// f = sum_i i * p_i over three parameters of four numbers: the gradient of p_i is i everywhere.
std::vector<at::Tensor> ThreeParameters() {
  std::vector<at::Tensor> parameters;
  for (int i = 0; i < 3; ++i) parameters.push_back(at::ones({4}).requires_grad_());
  return parameters;
}

at::Tensor Weighted(const std::vector<at::Tensor>& parameters, double factor) {
  return parameters[0].add(parameters[1], 2).add(parameters[2], 3).sum().mul(factor);
}

constexpr int64_t kOneParameter = 4 * sizeof(float);

TEST(GradientBuckets, AreSentDuringTheLastBackwardPassAndNoOther) {
  Recorder group;
  const std::vector<at::Tensor> parameters = ThreeParameters();
  GradientBuckets buckets(group, parameters, kOneParameter);
  Weighted(parameters, 1).backward();
  EXPECT_EQ(group.begun.size(), 0);
  buckets.ExpectLastBackward();
  Weighted(parameters, 10).backward();
  EXPECT_EQ(group.begun.size(), 3);
  EXPECT_EQ(group.waited, 0);
  buckets.Finish();
  EXPECT_EQ(group.waited, 3);
  // The last parameter first; both passes in it.
  EXPECT_EQ(group.begun[0][0].item<float>(), 33);
  EXPECT_EQ(group.begun[2][0].item<float>(), 11);
  EXPECT_EQ(parameters[1].grad()[0].item<float>(), 22);
}

TEST(GradientBuckets, HoldWholeParametersUpToTheirSize) {
  Recorder group;
  const std::vector<at::Tensor> parameters = ThreeParameters();
  GradientBuckets buckets(group, parameters, 2 * kOneParameter);
  buckets.Finish();
  ASSERT_EQ(group.begun.size(), 2);
  EXPECT_EQ(group.begun[0].numel(), 8);
  EXPECT_EQ(group.begun[1].numel(), 4);
}

TEST(GradientBuckets, OfOneTypeEach) {
  Recorder group;
  const std::vector<at::Tensor> parameters = {at::ones({4}).requires_grad_(),
                                              at::ones({4}, at::kDouble).requires_grad_()};
  GradientBuckets buckets(group, parameters);
  buckets.Finish();
  ASSERT_EQ(group.begun.size(), 2);
  EXPECT_EQ(group.begun[0].scalar_type(), at::kDouble);
  EXPECT_EQ(group.begun[1].scalar_type(), at::kFloat);
}

TEST(GradientBuckets, GroupOfOneLeavesGradientsAlone) {
  Recorder group(1);
  const std::vector<at::Tensor> parameters = ThreeParameters();
  GradientBuckets buckets(group, parameters);
  buckets.ExpectLastBackward();
  Weighted(parameters, 1).backward();
  const void* made_by_autograd = parameters[0].grad().const_data_ptr();
  buckets.Finish();
  EXPECT_EQ(parameters[0].grad().const_data_ptr(), made_by_autograd);
  EXPECT_EQ(group.begun.size(), 0);
}

// What the optimizer does between updates: .grad becomes undefined. The next update must not find the last one's sums.
TEST(GradientBuckets, UpdatesDoNotLeakIntoEachOther) {
  Recorder group;
  const std::vector<at::Tensor> parameters = ThreeParameters();
  GradientBuckets buckets(group, parameters);
  for (const double factor : {1.0, 5.0}) {
    buckets.ExpectLastBackward();
    Weighted(parameters, factor).backward();
    buckets.Finish();
    EXPECT_EQ(parameters[2].grad()[0].item<float>(), 3 * factor);
    for (const at::Tensor& parameter : parameters) parameter.mutable_grad() = at::Tensor();
  }
  buckets.Finish();  // no share in this update
  EXPECT_EQ(parameters[2].grad()[0].item<float>(), 0);
}

TEST(GradientBuckets, GradientsHaveTheMemoryFormatOfTheirParameters) {
  Recorder group;
  const at::Tensor weight =
      at::arange(2 * 3 * 3 * 3).to(at::kFloat).view({2, 3, 3, 3}).contiguous(at::MemoryFormat::ChannelsLast);
  weight.requires_grad_();
  const at::Tensor images = at::ones({1, 3, 5, 5});
  at::conv2d(images, weight).sum().backward();
  const at::Tensor expected = weight.grad().clone();
  weight.mutable_grad() = at::Tensor();
  GradientBuckets buckets(group, {weight});
  buckets.ExpectLastBackward();
  at::conv2d(images, weight).sum().backward();
  buckets.Finish();
  EXPECT_EQ(weight.grad().strides(), weight.strides());
  EXPECT_TRUE(weight.grad().equal(expected));
}

// Workers with 2, 1 and 0 micro-batches: the sum counts each micro-batch once, wherever it was.
TEST(GradientBuckets, UnequalSharesAddUpExactly) {
  RunRanks(3, [](Group& group) {
    const std::vector<at::Tensor> parameters = ThreeParameters();
    GradientBuckets buckets(group, parameters, kOneParameter);
    for (int update = 0; update < 3; ++update) {
      const int64_t micro_batches = 2 - (group.rank() + update) % 3;
      for (int64_t i = 0; i < micro_batches; ++i) {
        if (i + 1 == micro_batches) buckets.ExpectLastBackward();
        Weighted(parameters, 1).backward();
      }
      buckets.Finish();
      for (int i = 0; i < 3; ++i) {
        EXPECT_TRUE(parameters[i].grad().equal(at::full({4}, 3.0F * static_cast<float>(i + 1))));
        parameters[i].mutable_grad() = at::Tensor();
      }
    }
  });
}

}  // namespace
}  // namespace crescendo::distributed
