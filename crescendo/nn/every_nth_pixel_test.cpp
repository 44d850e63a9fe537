#include "crescendo/nn/every_nth_pixel.h"

#include <ATen/ops/conv2d.h>
#include <gtest/gtest.h>

#include "crescendo/nn/test_support.h"

namespace crescendo::nn {
namespace {

// Of even and odd sizes, in both orders of memory.
TEST(EveryNthPixelTest, AConvolutionOfThemIsTheStridedOne) {
  for (const int64_t stride : {2, 3}) {
    for (const auto format : {at::MemoryFormat::ChannelsLast, at::MemoryFormat::Contiguous}) {
      const at::Tensor weight = Wave({4, 3, 1, 1}, 1, 1);
      const at::Tensor images = Wave({2, 3, 8, 5}, 2, 1).contiguous(format).requires_grad_();
      const at::Tensor others = images.detach().clone().requires_grad_();
      const at::Tensor got = at::conv2d(EveryNthPixel(images, stride), weight);
      const at::Tensor expected = at::conv2d(others, weight, /*bias=*/{}, stride);
      EXPECT_LT(RelativeDifference(got, expected), 1e-6);
      const at::Tensor probe = Wave(expected.sizes(), 3, 1);
      got.mul(probe).sum().backward();
      expected.mul(probe).sum().backward();
      EXPECT_LT(RelativeDifference(images.grad(), others.grad()), 1e-6);
    }
  }
}

}  // namespace
}  // namespace crescendo::nn
