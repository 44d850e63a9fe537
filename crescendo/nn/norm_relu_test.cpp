#include "crescendo/nn/norm_relu.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/relu.h>
#include <c10/util/BFloat16.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <thread>

#include "crescendo/nn/ghost_batch_norm.h"
#include "crescendo/nn/norm_kernels.h"
#include "crescendo/nn/test_support.h"

namespace crescendo::nn {
namespace {

using schedule::GhostSizes;

constexpr int kFused = 0;
constexpr int kPlain = 1;
constexpr int kFusedOfSum = 2;
constexpr int kPlainOfSum = 3;

// Norm and ReLU, as one operation or as two; of the inputs, or of 2 x inputs plus the inputs, with the sum in the
// output.
class NormReluModel : public Model {
 public:
  NormReluModel(int64_t channels, int kind)
      : norm_(*this, "norm", channels, {.norm_momentum = 0.3, .norm_epsilon = 1e-5}), kind_(kind) {
    const at::NoGradGuard no_gradients;
    parameters()[0].value.add_(Wave({channels}, 1, 0.5));
    parameters()[1].value.add_(Wave({channels}, 2, 0.5));
  }

  const GhostBatchNorm& Norm() const { return norm_; }

 protected:
  at::Tensor Run(const at::Tensor& inputs, const GhostSizes* ghosts) override {
    if (kind_ == kFused) return norm_.ThenRelu(inputs, ghosts);
    if (kind_ == kPlain) return at::relu(norm_(inputs, ghosts));
    const at::Tensor branch = inputs.mul(2);
    if (kind_ == kFusedOfSum) {
      const NormOfSum result = norm_.SumThenRelu(branch, inputs, ghosts);
      return result.output.mul(result.sum);
    }
    const at::Tensor sum = branch.add(inputs);
    return at::relu(norm_(sum, ghosts)).mul(sum);
  }

 private:
  GhostBatchNorm norm_;
  int kind_;
};

const GhostSizes kGhosts = {4, 4};

using Outcomes = std::map<std::string, at::Tensor>;

// Everything that a pass over these micro-batches gives, by name; the loss weighs each output differently.
Outcomes Pass(Model& model, const at::Tensor& inputs, const std::vector<GhostSizes>& micro_batches) {
  const at::Tensor leaf = inputs.detach().clone().requires_grad_();
  const at::Tensor probe = Wave(inputs.sizes(), 3, 1).to(inputs.scalar_type());
  std::vector<at::Tensor> outputs;
  int64_t begin = 0;
  for (const GhostSizes& ghosts : micro_batches) {
    const int64_t size = std::accumulate(ghosts.begin(), ghosts.end(), int64_t{0});
    outputs.push_back(model.Forward(leaf.narrow(0, begin, size), ghosts));
    outputs.back().mul(probe.narrow(0, begin, size)).sum().backward();
    begin += size;
  }
  Outcomes outcomes = Outcome(model);
  outcomes["outputs"] = at::cat(outputs).detach();
  outcomes["gradient of the inputs"] = leaf.grad();
  return outcomes;
}

// Tables and images, of channel counts that fill the processor's registers, and that leave some over.
std::vector<at::Tensor> Inputs(int64_t examples) {
  std::vector<at::Tensor> inputs;
  for (const int64_t channels : {1, 5, 16, 35, 64}) {
    inputs.push_back(Wave({examples, channels}, 0.5, 2).add(1));
    inputs.push_back(Wave({examples, channels, 3, 5}, 0.5, 2).add(1).contiguous(at::MemoryFormat::ChannelsLast));
  }
  return inputs;
}

class NormReluTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { at::set_num_threads(2); }
  static void TearDownTestSuite() { at::set_num_threads(1); }
};

TEST_F(NormReluTest, EqualsTheTwoOperations) {
  for (const GhostSizes& ghosts : {GhostSizes{11}, {4, 4, 3}, {10, 1}}) {
    for (const at::Tensor& inputs : Inputs(11)) {
      NormReluModel fused(inputs.size(1), kFused);
      NormReluModel plain(inputs.size(1), kPlain);
      ASSERT_TRUE(CanNormaliseAndRectify(inputs));
      const Outcomes got = Pass(fused, inputs, {ghosts});
      for (const auto& [name, expected] : Pass(plain, inputs, {ghosts})) {
        EXPECT_LT(RelativeDifference(got.at(name), expected), 4e-6)
            << name << ", ghosts " << ::testing::PrintToString(ghosts) << ", inputs " << inputs.sizes();
      }
      EXPECT_TRUE(CanNormaliseAndRectify(got.at("outputs")));
    }
  }
}

TEST_F(NormReluTest, OfASumEqualsTheOperationsOneByOne) {
  for (const GhostSizes& ghosts : {GhostSizes{11}, {4, 4, 3}, {10, 1}}) {
    for (const at::Tensor& inputs : Inputs(11)) {
      NormReluModel fused(inputs.size(1), kFusedOfSum);
      NormReluModel plain(inputs.size(1), kPlainOfSum);
      const Outcomes got = Pass(fused, inputs, {ghosts});
      for (const auto& [name, expected] : Pass(plain, inputs, {ghosts})) {
        EXPECT_LT(RelativeDifference(got.at(name), expected), 6e-6)
            << name << ", ghosts " << ::testing::PrintToString(ghosts) << ", inputs " << inputs.sizes();
      }
    }
  }
}

// Either of the two outputs may have no part in the loss.
TEST_F(NormReluTest, OfASumNeedsNoGradientOfBothOutputs) {
  for (const bool only_sum : {false, true}) {
    NormReluModel model(5, kFusedOfSum);
    const at::Tensor leaf = Wave({8, 5}, 0.5, 1).requires_grad_();
    const NormOfSum fused = model.Norm().SumThenRelu(leaf.mul(2), leaf, &kGhosts);
    (only_sum ? fused.sum : fused.output).mul(Wave({8, 5}, 3, 1)).sum().backward();
    const at::Tensor got = leaf.grad().clone();
    leaf.mutable_grad() = at::Tensor();
    const at::Tensor sum = leaf.mul(3);
    (only_sum ? sum : at::relu(model.Norm()(sum, &kGhosts))).mul(Wave({8, 5}, 3, 1)).sum().backward();
    EXPECT_LT(RelativeDifference(got, leaf.grad()), 4e-6);
  }
}

// Against the two operations in fp32: what is left is the rounding of the outputs to bfloat16, half a step of 2^-8, and
// of the gradient that comes in.
TEST_F(NormReluTest, Bfloat16IsRoundedOnlyWhereItIsStored) {
  for (const at::Tensor& inputs : Inputs(11)) {
    const at::Tensor rounded = inputs.to(at::kBFloat16);
    NormReluModel fused(inputs.size(1), kFused);
    NormReluModel plain(inputs.size(1), kPlain);
    const Outcomes got = Pass(fused, rounded, {{4, 4, 3}});
    const Outcomes expected = Pass(plain, rounded.to(at::kFloat), {{4, 4, 3}});
    EXPECT_EQ(got.at("outputs").scalar_type(), at::kBFloat16);
    EXPECT_EQ(got.at("gradient of the inputs").scalar_type(), at::kBFloat16);
    EXPECT_LT(RelativeDifference(got.at("outputs"), expected.at("outputs")), 0.5 / 128);
    EXPECT_LT(RelativeDifference(got.at("norm.running_mean"), expected.at("norm.running_mean")), 1e-6);
    EXPECT_LT(RelativeDifference(got.at("norm.running_var"), expected.at("norm.running_var")), 1e-6);
    for (const char* name : {"gradient of the inputs", "norm.weight", "norm.bias"}) {
      EXPECT_LT(RelativeDifference(got.at(name), expected.at(name)), 1e-2) << name << ", inputs " << inputs.sizes();
    }
  }
}

// Large enough for several blocks in a ghost and work for both threads.
TEST_F(NormReluTest, BitsDoNotDependOnMicroBatchesOrThreads) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor images = Wave({22, 20, 16, 16}, 0.5, 1).to(type).contiguous(at::MemoryFormat::ChannelsLast);
    NormReluModel whole(20, kFused);
    const Outcomes expected = Pass(whole, images, {{8, 7, 7}});
    for (const int threads : {1, 2}) {
      at::set_num_threads(threads);
      NormReluModel parts(20, kFused);
      const Outcomes got = Pass(parts, images, {{8}, {7, 7}});
      for (const char* name : {"outputs", "gradient of the inputs", "norm.running_mean", "norm.running_var"}) {
        EXPECT_TRUE(got.at(name).equal(expected.at(name))) << name << ", threads " << threads;
      }
    }
  }
}

// A NaN that ReLU turned into 0 would never reach the loss, where it ends the run.
TEST_F(NormReluTest, NaNStaysNaN) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    at::Tensor inputs = Wave({8, 37}, 0.5, 1);
    for (const int64_t channel : {0, 36}) inputs[2][channel] = std::numeric_limits<float>::quiet_NaN();
    NormReluModel model(37, kFused);
    const at::Tensor outputs = model.Forward(inputs.to(type), {8});
    EXPECT_TRUE(outputs.isnan().select(1, 0).all().item<bool>());
    EXPECT_TRUE(outputs.isnan().select(1, 36).all().item<bool>());
    EXPECT_EQ(outputs.isnan().sum().item<int64_t>(), 16);
  }
}

TEST_F(NormReluTest, OtherLayoutsAndTypesGoTheLongWay) {
  const at::Tensor contiguous_images = Wave({8, 5, 3, 3}, 0.5, 1);
  EXPECT_FALSE(CanNormaliseAndRectify(contiguous_images));
  EXPECT_FALSE(CanNormaliseAndRectify(Wave({8, 5}, 0.5, 1).to(at::kDouble)));
  EXPECT_FALSE(CanNormaliseAndRectify(Wave({5, 8}, 0.5, 1).t()));
  NormReluModel fused(5, kFused);
  NormReluModel plain(5, kPlain);
  const Outcomes got = Pass(fused, contiguous_images, {{4, 4}});
  for (const auto& [name, expected] : Pass(plain, contiguous_images, {{4, 4}})) {
    EXPECT_TRUE(got.at(name).equal(expected)) << name;
  }
}

// The sets of kernels that this processor can run.
std::map<std::string, const NormKernelSet*> KernelSets() {
  std::map<std::string, const NormKernelSet*> sets{{"baseline", &kBaselineNormKernels}};
#ifdef CRESCENDO_X86_KERNELS
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) sets["avx2"] = &kAvx2NormKernels;
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
    sets["avx512"] = &kAvx512NormKernels;
    if (__builtin_cpu_supports("avx512bf16")) sets["avx512_bf16"] = &kAvx512Bf16NormKernels;
  }
#endif
  return sets;
}

// How norm_relu.cpp shares out the rows: without OpenMP's flag in our build this is a plain loop.
TEST(NormKernelsTest, AreCalledByAllThreads) {
  std::atomic<int> others = 0;
  const auto caller = std::this_thread::get_id();
  at::set_num_threads(2);
  at::parallel_for(0, 2, 1, [&](int64_t /*begin*/, int64_t /*end*/) {
    if (std::this_thread::get_id() != caller) ++others;
  });
  at::set_num_threads(1);
  EXPECT_EQ(others, 1);
}

TEST(NormKernelsTest, RoundsToTheNearestBfloat16) {
  // All of one sign but the subnormal, and infinity and NaN; times 1 + 2^-8 they lie between two, or at a half.
  std::vector<uint16_t> inputs;
  for (int bits = 0x0080; bits <= 0x7fc0; ++bits) inputs.push_back(static_cast<uint16_t>(bits));
  const auto channels = static_cast<int64_t>(inputs.size());
  const std::vector<float> zeros(inputs.size()), factors(inputs.size(), 1 + 1.0F / 256);
  for (const auto& [name, kernels] : KernelSets()) {
    SCOPED_TRACE(name);
    std::vector<uint16_t> outputs(inputs.size());
    kernels->bf16.forward(inputs.data(), 1, channels, zeros.data(), factors.data(), zeros.data(), outputs.data());
    for (size_t i = 0; i < inputs.size(); ++i) {
      const float exact = c10::detail::f32_from_bits(inputs[i]) * factors[i];
      const float got = c10::detail::f32_from_bits(outputs[i]);
      if (std::isnan(exact)) {
        EXPECT_TRUE(std::isnan(got)) << inputs[i];
      } else {
        ASSERT_EQ(outputs[i], c10::detail::round_to_nearest_even(exact)) << inputs[i];
      }
    }
  }
}

// Against loops over single numbers.
TEST(NormKernelsTest, EveryInstructionSetGivesTheSame) {
  constexpr int64_t kRows = 9;
  constexpr int64_t kChannels = 4 * 16 + 2 * 16 + 8 + 4 + 3;  // fills registers of each size, four at a time and alone
  const auto wave = [](int64_t count, double phase) {
    const at::Tensor values = Wave({count}, phase, 1);
    const auto* begin = values.const_data_ptr<float>();
    return std::vector<float>(begin, begin + count);
  };
  const std::vector<float> inputs = wave(kRows * kChannels, 0.5);
  const std::vector<float> gradients = wave(kRows * kChannels, 1);
  const std::vector<float> means = wave(kChannels, 2), factors = wave(kChannels, 3), shifts = wave(kChannels, 4);
  const std::vector<float> offsets = wave(kChannels, 5), slopes = wave(kChannels, 6);
  for (const auto& [name, set] : KernelSets()) {
    SCOPED_TRACE(name);
    const NormKernels<float>* kernels = &set->fp32;
    std::vector<float> sums(kChannels, 1), squares(kChannels, 2), outputs(inputs.size()),
        inputs_gradient(inputs.size());
    std::vector<float> gradient_sums(kChannels, 3), products(kChannels, 4);
    kernels->sums(inputs.data(), kRows, kChannels, means.data(), sums.data(), squares.data());
    kernels->forward(inputs.data(), kRows, kChannels, means.data(), factors.data(), shifts.data(), outputs.data());
    kernels->backward_sums(inputs.data(), gradients.data(), kRows, kChannels, means.data(), factors.data(),
                           shifts.data(), gradient_sums.data(), products.data());
    kernels->backward(inputs.data(), gradients.data(), kRows, kChannels, means.data(), factors.data(), shifts.data(),
                      offsets.data(), slopes.data(), /*sum_gradient=*/nullptr, inputs_gradient.data());
    std::vector<float> added = inputs, added_gradient(inputs.size());
    std::vector<float> added_sums(kChannels, 1), added_squares(kChannels, 2), of_sum(kChannels, 1),
        of_square(kChannels, 2);
    kernels->add_and_sums(added.data(), gradients.data(), kRows, kChannels, means.data(), added_sums.data(),
                          added_squares.data());
    kernels->sums(added.data(), kRows, kChannels, means.data(), of_sum.data(), of_square.data());
    EXPECT_EQ(added_sums, of_sum);
    EXPECT_EQ(added_squares, of_square);
    kernels->backward(inputs.data(), gradients.data(), kRows, kChannels, means.data(), factors.data(), shifts.data(),
                      offsets.data(), slopes.data(), inputs.data(), added_gradient.data());
    for (size_t i = 0; i < inputs.size(); ++i) {
      EXPECT_EQ(added[i], inputs[i] + gradients[i]);
      EXPECT_NEAR(added_gradient[i], inputs_gradient[i] + inputs[i], 1e-6);
    }
    for (int64_t c = 0; c < kChannels; ++c) {
      double sum = 1, square = 2, gradient_sum = 3, product = 4;
      for (int64_t i = c; i < kRows * kChannels; i += kChannels) {
        const double centred = double{inputs[i]} - means[c];
        const double z = centred * factors[c] + shifts[c];
        const double gradient = z > 0 ? gradients[i] : 0;
        sum += centred;
        square += centred * centred;
        gradient_sum += gradient;
        product += gradient * centred;
        EXPECT_NEAR(outputs[i], std::max(z, 0.0), 1e-6);
        EXPECT_NEAR(inputs_gradient[i], factors[c] * gradient - offsets[c] - slopes[c] * centred, 1e-6);
      }
      EXPECT_NEAR(sums[c], sum, 5e-6);
      EXPECT_NEAR(squares[c], square, 5e-6);
      EXPECT_NEAR(gradient_sums[c], gradient_sum, 5e-6);
      EXPECT_NEAR(products[c], product, 5e-6);
    }
  }
}

}  // namespace
}  // namespace crescendo::nn
