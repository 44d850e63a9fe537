// PyTorch's numbers: testdata/torch_tables.safetensors, made by testdata/make_tables.py, which says what they are.
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "crescendo/nn/ghost_batch_norm.h"
#include "crescendo/nn/loss.h"
#include "crescendo/nn/registry.h"
#include "crescendo/nn/safetensors.h"
#include "crescendo/nn/test_support.h"

namespace crescendo::nn {
namespace {

class Torch : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { at::set_num_threads(1); }
  void Expect(const std::string& name, const at::Tensor& got, double tolerance) const {
    const at::Tensor expected = Find(tables_.tensors, name);
    ASSERT_TRUE(expected.defined()) << name;
    ASSERT_EQ(got.sizes(), expected.sizes()) << name;
    EXPECT_LT(RelativeDifference(got, expected), tolerance) << name;
  }
  SafetensorsFile tables_ = ReadSafetensors("crescendo/nn/testdata/torch_tables.safetensors");
};

TEST_F(Torch, OneGhostIsTorchsBatchNorm) {
  struct NormModel : Model {
    GhostBatchNorm norm{*this, "norm", 3, {}};
    at::Tensor Run(const at::Tensor& inputs, const schedule::GhostSizes* ghosts) override {
      return norm(inputs, ghosts);
    }
  };
  const std::pair<std::string, std::vector<int64_t>> cases[] = {{"rows", {5, 3}}, {"images", {2, 3, 2, 2}}};
  for (const auto& [name, shape] : cases) {
    NormModel model;
    {
      const at::NoGradGuard no_gradients;
      model.parameters()[0].value.add_(Wave({3}, 1, 0.5));
      model.parameters()[1].value.add_(Wave({3}, 2, 0.5));
    }
    for (int step = 0; step < 2; ++step) {
      const at::Tensor inputs = Wave(shape, step, 2).add(3).requires_grad_();
      const at::Tensor output = model.Forward(inputs, {shape[0]});
      output.mul(Wave(shape, 5, 1)).sum().backward();
      Expect(fmt::format("{}.{}.output", name, step), output, 2e-6);
      Expect(fmt::format("{}.{}.inputs.grad", name, step), inputs.grad(), 2e-6);
      for (const NamedTensor& parameter : model.parameters()) {
        Expect(fmt::format("{}.{}.{}.grad", name, step, parameter.name.substr(5)), parameter.value.grad(), 2e-6);
        parameter.value.mutable_grad().reset();
      }
      for (const NamedTensor& buffer : model.buffers()) {
        Expect(fmt::format("{}.{}.{}", name, step, buffer.name.substr(5)), buffer.value, 2e-6);
      }
    }
  }
}

TEST_F(Torch, WideResNetHasTorchsLogitsGradientsAndRunningStatistics) {
  const auto model = BuildModel({.name = config::ModelName::kWideResNet, .depth = 10, .width = 1}, {3, 8, 8}, 5, 1);
  {
    const at::NoGradGuard no_gradients;
    int number = 0;
    for (const NamedTensor& parameter : model->parameters()) {
      const at::IntArrayRef shape = parameter.value.sizes();
      const int64_t inputs = parameter.value.numel() / shape[0];
      parameter.value.copy_(Wave(shape, number++, shape.size() > 1 ? std::sqrt(1 / static_cast<double>(inputs)) : 0.5));
      const bool is_factor_of_norm = shape.size() == 1 && parameter.name.ends_with("weight");
      if (is_factor_of_norm) parameter.value.add_(1);
    }
  }
  const at::Tensor inputs = Find(tables_.tensors, "wrn.inputs");
  const at::Tensor logits = model->Forward(inputs, {6});
  const at::Tensor loss = SummedCrossEntropy(logits, Find(tables_.tensors, "wrn.labels"));
  loss.backward();
  Expect("wrn.logits", logits, 1e-5);
  Expect("wrn.loss", loss, 1e-6);
  size_t compared = 4;  // inputs, labels, logits, loss
  for (const NamedTensor& parameter : model->parameters()) {
    Expect("wrn." + parameter.name + ".grad", parameter.value.grad(), 1e-5);
    ++compared;
  }
  for (const NamedTensor& buffer : model->buffers()) {
    Expect("wrn." + buffer.name, buffer.value, 1e-5);
    ++compared;
  }
  Expect("wrn.evaluated", model->Evaluate(inputs), 1e-5);
  ++compared;
  size_t stored = 0;
  for (const NamedTensor& tensor : tables_.tensors) stored += tensor.name.starts_with("wrn.") ? 1 : 0;
  EXPECT_EQ(compared, stored) << "PyTorch's network has parameters or statistics that ours lacks";
}

}  // namespace
}  // namespace crescendo::nn
