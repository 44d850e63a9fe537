#include "crescendo/device/work_graph.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include "tests/support/test_device.h"

namespace crescendo::device {
namespace {

TEST(WorkGraphs, ComputeAgainFromWhatIsInTheirMemory) {
  const at::Device device = support::TestDevice();
  const OwnStream stream(device);
  WorkGraphs graphs(device);
  const at::Tensor input = at::full({4}, 1.0, at::TensorOptions(at::kFloat).device(device));
  const at::Tensor total = at::full({4}, 0.0, input.options());
  at::Tensor doubled;
  at::Tensor squared;
  const size_t twice = graphs.Record([&] {
    doubled = input.mul(2);
    total.add_(doubled);
  });
  const size_t square = graphs.Record([&] { squared = input.mul(input); });
  EXPECT_EQ(total.sum().item<float>(), 0) << "recording computes nothing";
  for (const float value : {3.0F, 5.0F}) {
    input.fill_(value);
    graphs.Replay(twice);
    EXPECT_EQ(doubled.sum().item<float>(), 4 * 2 * value);
    graphs.Replay(square);
    EXPECT_EQ(squared.sum().item<float>(), 4 * value * value);
  }
  EXPECT_EQ(total.sum().item<float>(), 4 * (6 + 10));
}

TEST(WorkGraphs, AreForgotten) {
  const at::Device device = support::TestDevice();
  const OwnStream stream(device);
  WorkGraphs graphs(device);
  const at::Tensor number = at::full({1}, 0.0, at::TensorOptions(at::kFloat).device(device));
  EXPECT_EQ(graphs.Record([&] { number.add_(1); }), 0);
  EXPECT_EQ(graphs.Record([&] { number.add_(10); }), 1);
  graphs.Clear();
  EXPECT_EQ(graphs.Record([&] { number.add_(100); }), 0);
  graphs.Replay(0);
  EXPECT_EQ(number.item<float>(), 100);
}

}  // namespace
}  // namespace crescendo::device
