#include "crescendo/nn/every_nth_pixel.h"

#include <ATen/ops/conv2d.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <utility>

#include "crescendo/nn/test_support.h"

namespace crescendo::nn {
namespace {

// Of even and odd sizes, in both orders of memory; read by nothing else, by something else, and by that alone.
TEST(EveryNthPixelTest, AConvolutionOfThemIsTheStridedOne) {
  const at::Tensor weight = Wave({4, 3, 1, 1}, 1, 1);
  for (const int64_t stride : {2, 3}) {
    for (const auto format : {at::MemoryFormat::ChannelsLast, at::MemoryFormat::Contiguous}) {
      for (const auto& [of_pixels, of_images] : {std::pair{1, 0}, {1, 1}, {0, 1}}) {
        const at::Tensor images = Wave({2, 3, 8, 5}, 2, 1).contiguous(format).requires_grad_();
        const at::Tensor others = images.detach().clone().requires_grad_();
        const ImagesAndPixels read = EveryNthPixel(images, stride);
        const at::Tensor got = at::conv2d(read.pixels, weight);
        const at::Tensor expected = at::conv2d(others, weight, /*bias=*/{}, stride);
        EXPECT_LT(RelativeDifference(got, expected), 1e-6);
        const at::Tensor probe = Wave(expected.sizes(), 3, 1);
        const auto loss = [&, pixels = of_pixels, whole = of_images](const at::Tensor& output, const at::Tensor& all) {
          at::Tensor sum = at::zeros({});
          if (pixels != 0) sum = sum.add(output.mul(probe).sum());
          if (whole != 0) sum = sum.add(all.mul(all).sum());
          return sum;
        };
        loss(got, read.images).backward();
        loss(expected, others).backward();
        EXPECT_LT(RelativeDifference(images.grad(), others.grad()), 1e-6);
      }
    }
  }
}

// One gradient that autograd hands to two readers is not written to, be it one number for all or one for each.
TEST(EveryNthPixelTest, LeavesAGradientThatOthersNeed) {
  const at::Tensor leaf = Wave({1, 2, 4, 4}, 2, 1).requires_grad_();
  const at::Tensor other = Wave({1, 2, 4, 4}, 3, 1).requires_grad_();
  const at::Tensor before = other.mul(2);  // goes backward after the pixels, with the gradient that they got too
  const ImagesAndPixels shared = EveryNthPixel(leaf, 2);
  const at::Tensor probe = Wave({1, 2, 4, 4}, 4, 1);
  shared.images.add(before).mul(probe).sum().add(shared.pixels.sum()).backward();
  EXPECT_TRUE(other.grad().equal(probe.mul(2)));
  leaf.mutable_grad().reset();
  other.mutable_grad().reset();
  const ImagesAndPixels read = EveryNthPixel(leaf, 2);
  read.images.add(other).sum().add(read.pixels.sum()).backward();
  EXPECT_TRUE(other.grad().equal(at::ones_like(other)));
  EXPECT_EQ(leaf.grad().sum().item<float>(), 32 + 8);
}

}  // namespace
}  // namespace crescendo::nn
