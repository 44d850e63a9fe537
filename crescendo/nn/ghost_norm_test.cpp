// Normalisation, residual addition and ReLU in one: the definition in double precision against the steps of
// ghost_norm_math.h, on the CPU here and as kernels where CRESCENDO_TEST_DEVICE=cuda.
#include "crescendo/nn/ghost_norm.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <limits>
#include <numeric>
#include <set>

#include "crescendo/nn/ghost_norm_autograd.h"
#include "crescendo/nn/ghost_norm_math.h"
#include "crescendo/nn/test_support.h"
#include "tests/support/test_device.h"

namespace crescendo::nn {
namespace {

using schedule::GhostSizes;
using support::TestDevice;

struct Case {
  GhostSizes ghosts;
  std::vector<int64_t> example;  // [C] or [C, H, W]
  bool residual = false;
  bool relu = false;
  at::ScalarType type = at::kFloat;
  double center = 1;

  int64_t channels() const { return example.front(); }
  at::MemoryFormat format() const {
    return example.size() == 3 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
  }
  // A tensor like the inputs; later examples are larger, so that no two ghosts have the same statistics.
  at::Tensor Values(double phase, double offset, bool growing) const {
    std::vector<int64_t> sizes = {std::accumulate(ghosts.begin(), ghosts.end(), int64_t{0})};
    std::vector<int64_t> per_example = sizes;
    for (const int64_t extent : example) {
      sizes.push_back(extent);
      per_example.push_back(1);
    }
    at::Tensor values = Wave(sizes, phase, 1);
    if (growing) values = values.mul(at::arange(1, sizes[0] + 1, at::kFloat).view(per_example).div(10));
    return values.add(offset).to(type).contiguous(format());
  }
};

struct Outcome {
  at::Tensor output;
  at::Tensor sum;
  at::Tensor running_mean;
  at::Tensor running_variance;
  at::Tensor sum_gradient;
  at::Tensor weight_gradient;
  at::Tensor bias_gradient;
};

constexpr double kMomentum = 0.3;
constexpr double kEpsilon = 1e-5;

at::Tensor Weight(const Case& c) { return Wave({c.channels()}, 1, 0.5).add(1); }
at::Tensor Bias(const Case& c) { return Wave({c.channels()}, 2, 0.5); }
at::Tensor Inputs(const Case& c) { return c.Values(0.5, c.center, /*growing=*/true); }
at::Tensor Residual(const Case& c) { return c.residual ? c.Values(4, 0, false) : at::Tensor(); }
// The loss is sum(output * OutputProbe + sum * SumProbe); without a residual the sum is used nowhere else.
at::Tensor OutputProbe(const Case& c) { return c.Values(3, 0, false); }
at::Tensor SumProbe(const Case& c) { return c.residual ? c.Values(5, 0, false) : at::Tensor(); }

Outcome Definition(const Case& c) {
  at::Tensor sum = Inputs(c);
  if (c.residual) sum = sum.to(at::kFloat).add(Residual(c).to(at::kFloat)).to(c.type);
  const at::Tensor leaf = sum.to(at::kDouble).requires_grad_();
  const at::Tensor weight = Weight(c).to(at::kDouble).requires_grad_();
  const at::Tensor bias = Bias(c).to(at::kDouble).requires_grad_();
  const bool images = c.example.size() == 3;
  const std::vector<int64_t> over = images ? std::vector<int64_t>{0, 2, 3} : std::vector<int64_t>{0};
  std::vector<int64_t> broadcast(c.example.size() + 1, 1);
  broadcast[1] = c.channels();
  at::Tensor running_mean = at::zeros({c.channels()}, at::kDouble);
  at::Tensor running_variance = at::ones({c.channels()}, at::kDouble);
  std::vector<at::Tensor> outputs;
  int64_t begin = 0;
  for (const int64_t size : c.ghosts) {
    const at::Tensor ghost = leaf.narrow(0, begin, size);
    begin += size;
    const at::Tensor mean = ghost.mean(over, /*keepdim=*/true);
    const at::Tensor variance = ghost.sub(mean).square().mean(over, /*keepdim=*/true);
    const at::Tensor z =
        ghost.sub(mean).div(variance.add(kEpsilon).sqrt()).mul(weight.view(broadcast)).add(bias.view(broadcast));
    outputs.push_back(c.relu ? at::relu(z) : z);
    const int64_t values = ghost.numel() / c.channels();
    running_mean = running_mean.mul(1 - kMomentum).add(mean.detach().flatten(), kMomentum);
    running_variance = running_variance.mul(1 - kMomentum)
                           .add(variance.detach().flatten(),
                                kMomentum * static_cast<double>(values) / static_cast<double>(values - 1));
  }
  const at::Tensor output = at::cat(outputs);
  at::Tensor loss = output.mul(OutputProbe(c).to(at::kDouble)).sum();
  if (c.residual) loss = loss.add(leaf.mul(SumProbe(c).to(at::kDouble)).sum());
  loss.backward();
  return {output.detach(), sum, running_mean, running_variance, leaf.grad(), weight.grad(), bias.grad()};
}

Outcome Computed(const Case& c) {
  const at::Device device = TestDevice();
  const auto there = [&](const at::Tensor& tensor) { return tensor.defined() ? tensor.to(device) : tensor; };
  const NormTensors tensors = {there(Weight(c)), there(Bias(c)), there(at::zeros({c.channels()})),
                               there(at::ones({c.channels()}))};
  const GhostNormOptions options = {.momentum = kMomentum, .epsilon = kEpsilon, .relu = c.relu};
  const GhostNormForward forward = ForwardGhostNorm(there(Inputs(c)), there(Residual(c)), c.ghosts, tensors, options);
  EXPECT_TRUE(forward.output.is_contiguous(c.format()));
  EXPECT_EQ(forward.output.scalar_type(), c.type);
  const GhostNormGradients gradients =
      BackwardGhostNorm(there(OutputProbe(c)), there(SumProbe(c)), forward, c.ghosts, tensors, options);
  EXPECT_EQ(gradients.sum.scalar_type(), c.type);
  return {forward.output.cpu(), forward.sum.cpu(),      tensors.running_mean.cpu(), tensors.running_variance.cpu(),
          gradients.sum.cpu(),  gradients.weight.cpu(), gradients.bias.cpu()};
}

void ExpectSame(const Outcome& got, const Outcome& expected, double tolerance, double of_elements) {
  EXPECT_TRUE(at::equal(got.sum, expected.sum)) << "sum";
  EXPECT_LT(RelativeDifference(got.output, expected.output), of_elements) << "output";
  EXPECT_LT(RelativeDifference(got.sum_gradient, expected.sum_gradient), of_elements) << "gradient of the sum";
  EXPECT_LT(RelativeDifference(got.running_mean, expected.running_mean), tolerance) << "running mean";
  EXPECT_LT(RelativeDifference(got.running_variance, expected.running_variance), tolerance) << "running variance";
  EXPECT_LT(RelativeDifference(got.weight_gradient, expected.weight_gradient), tolerance) << "gradient of the weight";
  EXPECT_LT(RelativeDifference(got.bias_gradient, expected.bias_gradient), tolerance) << "gradient of the bias";
}

class GhostNorm : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { at::set_num_threads(1); }
};

TEST_F(GhostNorm, EqualsTheDefinition) {
  for (const GhostSizes& ghosts : {GhostSizes{9}, {3, 3, 3}, {5, 4}, {4, 3, 3}, {4, 4, 3}}) {
    for (const std::vector<int64_t>& example :
         {std::vector<int64_t>{5}, {8}, {3, 4, 5}, {16, 4, 4}, {24, 1, 2}, {600, 1, 1}}) {
      for (const bool residual : {false, true}) {
        for (const bool relu : {false, true}) {
          const Case c = {.ghosts = ghosts, .example = example, .residual = residual, .relu = relu};
          SCOPED_TRACE(::testing::PrintToString(ghosts) + " of " + ::testing::PrintToString(example) +
                       (residual ? " residual" : "") + (relu ? " ReLU" : ""));
          ExpectSame(Computed(c), Definition(c), 1e-5, 4e-6);
        }
      }
    }
  }
}

// Ghosts of several chunks each, as in training.
TEST_F(GhostNorm, EqualsTheDefinitionWhereGhostsAreCutIntoChunks) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const Case c = {.ghosts = {9, 9, 8}, .example = {16, 16, 16}, .residual = true, .relu = true, .type = type};
    // Half a step of bfloat16 is 2^-9 of a value.
    ExpectSame(Computed(c), Definition(c), type == at::kFloat ? 1e-5 : 2e-4, type == at::kFloat ? 1e-5 : 6e-3);
  }
}

// The mean is 300 deviations away from 0, where bfloat16 has steps of 2: nothing but the statistics in fp32 can be
// right.
TEST_F(GhostNorm, StatisticsAreFp32AndKeepAVarianceFarFromZero) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const Case c = {.ghosts = {16, 16}, .example = {3, 4, 4}, .type = type, .center = 300};
    const Outcome got = Computed(c);
    const Outcome expected = Definition(c);
    EXPECT_LT(RelativeDifference(got.running_mean, expected.running_mean), 1e-6);
    EXPECT_LT(RelativeDifference(got.running_variance, expected.running_variance), 1e-4);
  }
}

// One block's worth of a residual network, by autograd: this operation against its parts, each ATen's.
TEST_F(GhostNorm, IsAPartOfAutograd) {
  const Case c = {.ghosts = {3, 3, 2}, .example = {4, 3, 3}, .residual = true, .relu = true};
  const at::Device device = TestDevice();
  const auto train = [&](const auto& add_norm_relu) {
    const at::Tensor branch = Inputs(c).to(device).requires_grad_();
    const at::Tensor skip = Residual(c).to(device).requires_grad_();
    const NormTensors tensors = {Weight(c).to(device).requires_grad_(), Bias(c).to(device).requires_grad_(),
                                 at::zeros({4}).to(device), at::ones({4}).to(device)};
    // Both are used twice, so that gradients meet.
    const NormOfSum first = add_norm_relu(branch.mul(2), skip, tensors);
    const NormOfSum second = add_norm_relu(first.output.mul(OutputProbe(c).to(device)), first.sum, tensors);
    second.output.add(second.sum).mul(SumProbe(c).to(device)).sum().backward();
    return std::vector<at::Tensor>{branch.grad(), skip.grad(), tensors.weight.grad(), tensors.bias.grad(),
                                   tensors.running_variance};
  };
  const std::vector<at::Tensor> got = train([&](const auto& inputs, const auto& residual, const auto& tensors) {
    return GhostNormReluOfSum(inputs, residual, c.ghosts, tensors, {.momentum = kMomentum, .epsilon = kEpsilon});
  });
  const auto parts_of = [&](const at::Tensor& sum, const NormTensors& tensors) {
    std::vector<at::Tensor> outputs;
    int64_t begin = 0;
    for (const int64_t size : c.ghosts) {
      outputs.push_back(at::batch_norm(sum.narrow(0, begin, size), tensors.weight, tensors.bias, tensors.running_mean,
                                       tensors.running_variance, true, kMomentum, kEpsilon, false));
      begin += size;
    }
    return at::relu(at::cat(outputs));
  };
  const std::vector<at::Tensor> expected = train([&](const auto& inputs, const auto& residual, const auto& tensors) {
    const at::Tensor sum = inputs.add(residual);
    return NormOfSum{parts_of(sum, tensors), sum};
  });
  for (size_t i = 0; i < got.size(); ++i) EXPECT_LT(RelativeDifference(got[i], expected[i]), 1e-5) << i;

  // Without a residual, and where nobody asks for gradients.
  const NormTensors tensors = {Weight(c).to(device), Bias(c).to(device), at::zeros({4}).to(device),
                               at::ones({4}).to(device)};
  const at::Tensor inputs = Inputs(c).to(device);
  const at::Tensor output = GhostNormRelu(inputs, c.ghosts, tensors, {.momentum = kMomentum, .epsilon = kEpsilon});
  EXPECT_LT(RelativeDifference(output, parts_of(inputs, tensors)), 1e-5);
  EXPECT_FALSE(output.requires_grad());
}

TEST_F(GhostNorm, RepeatsItsBits) {
  const Case c = {.ghosts = {9, 9, 8}, .example = {16, 16, 16}, .relu = true};
  const Outcome first = Computed(c);
  const Outcome second = Computed(c);
  EXPECT_TRUE(at::equal(first.output, second.output));
  EXPECT_TRUE(at::equal(first.sum_gradient, second.sum_gradient));
  EXPECT_TRUE(at::equal(first.weight_gradient, second.weight_gradient));
  EXPECT_TRUE(at::equal(first.running_variance, second.running_variance));
}

// What a ghost is cut into does not depend on how many there are.
TEST_F(GhostNorm, AGhostHasTheSameBitsAloneAndAmongOthers) {
  const Case both = {.ghosts = {9, 9}, .example = {16, 16, 16}, .residual = true, .relu = true};
  const at::Device device = TestDevice();
  const auto outputs = [&](int64_t begin, int64_t examples, const GhostSizes& ghosts) {
    const NormTensors tensors = {Weight(both).to(device), Bias(both).to(device), at::zeros({16}).to(device),
                                 at::ones({16}).to(device)};
    return ForwardGhostNorm(Inputs(both).narrow(0, begin, examples).to(device),
                            Residual(both).narrow(0, begin, examples).to(device), ghosts, tensors, {.relu = true})
        .output.cpu();
  };
  EXPECT_TRUE(at::equal(outputs(0, 18, {9, 9}), at::cat({outputs(0, 9, {9}), outputs(9, 9, {9})})));
}

// A NaN that ReLU turned into 0 would never reach the loss, where it ends the run.
TEST_F(GhostNorm, NaNStaysNaN) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const Case c = {.ghosts = {8, 8}, .example = {40}, .relu = true, .type = type};
    const at::Device device = TestDevice();
    const NormTensors tensors = {Weight(c).to(device), Bias(c).to(device), at::zeros({40}).to(device),
                                 at::ones({40}).to(device)};
    at::Tensor inputs = Inputs(c);
    inputs[2][36] = std::numeric_limits<float>::quiet_NaN();
    inputs[12][3] = std::numeric_limits<float>::infinity();
    const GhostNormForward forward = ForwardGhostNorm(inputs.to(device), {}, c.ghosts, tensors, {.relu = true});
    const at::Tensor outputs = forward.output.cpu();
    EXPECT_TRUE(outputs.narrow(0, 0, 8).select(1, 36).isnan().all().item<bool>());
    EXPECT_TRUE(outputs.narrow(0, 8, 8).select(1, 3).isnan().all().item<bool>());
    EXPECT_EQ(outputs.isnan().sum().item<int64_t>(), 16);
    EXPECT_TRUE(tensors.running_variance[36].isnan().item<bool>());
    const GhostNormGradients gradients =
        BackwardGhostNorm(OutputProbe(c).to(device), {}, forward, c.ghosts, tensors, {.relu = true});
    EXPECT_TRUE(gradients.weight[36].isnan().item<bool>());
  }
}

TEST_F(GhostNorm, GhostsThatCannotBeAreOurMistake) {
  const auto forward = [](const GhostSizes& ghosts, const GhostSizes& told) {
    const Case c = {.ghosts = ghosts, .example = {4}};
    ForwardGhostNorm(Inputs(c), {}, told, {Weight(c), Bias(c), at::zeros({4}), at::ones({4})}, {});
  };
  EXPECT_NO_THROW(forward({4, 3}, {4, 3}));
  EXPECT_THROW(forward({4, 3}, {4, 4}), std::logic_error) << "do not add up";
  EXPECT_THROW(forward({4, 3}, {3, 4}), std::logic_error) << "the smaller first";
  EXPECT_THROW(forward({4, 2}, {4, 2}), std::logic_error) << "differ by two";
  EXPECT_THROW(forward({2, 1}, {2, 1}), std::logic_error) << "one row has no variance";
}

// What the blocks and threads of a GPU do, counted: every channel of every row once, whatever the shape.
template <int kWidth>
void ExpectEachElementOnce(const GhostLayout& layout, int64_t channels) {
  std::vector<int> visits(static_cast<size_t>(layout.Begin(layout.ghosts) * channels));
  const int64_t tiles = GhostNormTiles(channels);
  for (int64_t ghost = 0; ghost < layout.ghosts; ++ghost) {
    for (int64_t chunk = 0; chunk < layout.chunks; ++chunk) {
      for (int64_t tile = 0; tile < tiles; ++tile) {
        for (int thread = 0; thread < kGhostNormThreads; ++thread) {
          const GhostThread<kWidth> place(channels, chunk, ghost, tile, thread);
          place.template ForRows<4>(layout, channels, [&](int64_t element, int64_t step, int rows) {
            EXPECT_EQ(element % kWidth, 0);
            for (int r = 0; r < rows; ++r) {
              for (int i = 0; i < kWidth; ++i) ++visits[element + r * step + i];
            }
          });
        }
      }
    }
  }
  EXPECT_EQ(std::set<int>(visits.begin(), visits.end()), std::set<int>{1})
      << layout.ghosts << " ghosts of " << layout.rows << " rows in " << layout.chunks << " chunks, " << channels
      << " channels, " << kWidth << " at a time";
}

TEST(GhostThreadTest, TheThreadsOfAGpuVisitEachElementOnce) {
  for (const GhostLayout& layout : {GhostLayout{.ghosts = 1, .rows = 7, .step = 1, .chunks = 1},
                                    {.ghosts = 3, .rows = 50, .larger = 2, .step = 5, .chunks = 4},
                                    {.ghosts = 2, .rows = 9, .larger = 1, .step = 1, .chunks = 9}}) {
    for (const int64_t channels : {1, 5, 16, 160, 255, 257, 640}) ExpectEachElementOnce<1>(layout, channels);
    for (const int64_t channels : {8, 16, 64, 72, 160, 640, 2048, 2056}) ExpectEachElementOnce<8>(layout, channels);
  }
}

}  // namespace
}  // namespace crescendo::nn
