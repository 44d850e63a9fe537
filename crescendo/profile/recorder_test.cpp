#include "crescendo/profile/recorder.h"

#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/custom_function.h>

#include <numeric>

#include "crescendo/device/profile_scope.h"

namespace crescendo::profile {
namespace {

using device::ProfileScope;

// An autograd function as ours are (nn/norm_relu.cpp): LibTorch sees no operator of it, only its node.
class Twice : public torch::autograd::Function<Twice> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* /*context*/, const at::Tensor& x) { return x.mul(2); }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* /*context*/,
                                                 const torch::autograd::variable_list& gradients) {
    return {gradients[0].mul(2)};
  }
};

template <class Work>
at::Tensor InLayer(const std::string& name, const at::Tensor& inputs, const Work& work) {
  ProfileScope scope(name, inputs);
  return scope.Give(work(inputs));
}

class RecorderTest : public ::testing::Test {
 protected:
  // An update by hand: "product" and "twice" have parameters before them, "frozen" has not, and what comes right after
  // it has. Between the layers is a multiplication.
  void Update() const {
    at::Tensor loss;
    {
      const ProfileScope forward("forward");
      const at::Tensor product = InLayer("product", inputs_, [&](const at::Tensor& x) { return at::mm(x, weight_); });
      const at::Tensor twice = InLayer("twice", product.mul(0.5), [](const at::Tensor& x) { return Twice::apply(x); });
      const at::Tensor frozen = InLayer("frozen", inputs_, [](const at::Tensor& x) { return x.mul(3); });
      loss = twice.sum().mul(frozen.sum());
    }
    const ProfileScope backward("backward");
    loss.backward();
  }

  at::Tensor inputs_ = at::ones({40, 30});
  at::Tensor weight_ = at::ones({30, 20}).requires_grad_();
};

TEST_F(RecorderTest, SumsWhatLiesBetweenTheFirstBoundaryAndTheLast) {
  Recorder recorder(at::kCPU, Recorder::Watch::kPartsAndLayers);
  Update();  // to warm up
  recorder.Boundary();
  for (int i = 0; i < 3; ++i) {
    Update();
    Update();
    recorder.Boundary();
  }
  Update();
  const Recording recording = recorder.Finish();
  ASSERT_EQ(recording.update_seconds.size(), 3);
  ASSERT_EQ(recording.layers.size(), 3);
  for (const RecordedLayer& layer : recording.layers) EXPECT_EQ(layer.calls, 6) << layer.name;

  // Parts lie in updates, layers in parts.
  const double all = std::accumulate(recording.update_seconds.begin(), recording.update_seconds.end(), 0.0);
  const double parts = std::accumulate(recording.part_seconds.begin(), recording.part_seconds.end(), 0.0);
  EXPECT_LT(parts, all);
  EXPECT_EQ(parts, recording.part_seconds[kForward] + recording.part_seconds[kBackward]);
  double forward = 0;
  double backward = 0;
  for (const RecordedLayer& layer : recording.layers) {
    forward += layer.forward_seconds;
    backward += layer.backward_seconds;
  }
  EXPECT_LT(forward, recording.part_seconds[kForward]);
  EXPECT_LT(backward, recording.part_seconds[kBackward]);
}

TEST_F(RecorderTest, BackwardNodesFindTheirLayer) {
  Recorder recorder(at::kCPU, Recorder::Watch::kPartsAndLayers);
  recorder.Boundary();
  Update();
  recorder.Boundary();
  const Recording recording = recorder.Finish();
  ASSERT_EQ(recording.layers.size(), 3);
  EXPECT_EQ(recording.layers[0].name, "product");
  EXPECT_GT(recording.layers[0].backward_seconds, 0);
  EXPECT_EQ(recording.layers[1].name, "twice");
  EXPECT_GT(recording.layers[1].backward_seconds, 0);
  EXPECT_EQ(recording.layers[2].name, "frozen");  // the loss, whose node has the next number, is not this layer's
  EXPECT_GT(recording.layers[2].forward_seconds, 0);
  EXPECT_EQ(recording.layers[2].backward_seconds, 0);
}

TEST_F(RecorderTest, CountsBytesAndElements) {
  Recorder recorder(at::kCPU, Recorder::Watch::kPartsAndLayers);
  recorder.Boundary();
  Update();
  Update();
  recorder.Boundary();
  const Recording recording = recorder.Finish();
  const RecordedLayer& product = recording.layers.at(0);
  EXPECT_EQ(product.output, (std::vector<int64_t>{40, 20}));
  EXPECT_EQ(product.input_bytes, 2 * 40 * 30 * 4);
  EXPECT_EQ(product.input_gradient_bytes, 0);
  EXPECT_EQ(product.output_bytes, 2 * 40 * 20 * 4);
  EXPECT_EQ(product.output_elements, 2 * 40 * 20);
  EXPECT_EQ(product.output_elements_with_input_gradient, 0);
  const RecordedLayer& twice = recording.layers.at(1);
  EXPECT_EQ(twice.input_gradient_bytes, 2 * 40 * 20 * 4);
  EXPECT_EQ(twice.output_elements_with_input_gradient, 2 * 40 * 20);
}

TEST_F(RecorderTest, WithoutLayersThereAreParts) {
  Recorder recorder(at::kCPU, Recorder::Watch::kPartsOnly);
  recorder.Boundary();
  Update();
  recorder.Boundary();
  const Recording recording = recorder.Finish();
  EXPECT_TRUE(recording.layers.empty());
  EXPECT_GT(recording.part_seconds[kForward], 0);
  EXPECT_GT(recording.part_seconds[kBackward], 0);
}

TEST_F(RecorderTest, NothingIsWatchedOnceItIsGone) {
  { const Recorder recorder(at::kCPU, Recorder::Watch::kPartsAndLayers); }
  EXPECT_FALSE(at::hasCallbacks());
  Update();
}

}  // namespace
}  // namespace crescendo::profile
