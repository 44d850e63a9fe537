// The pixels that a strided convolution of single pixels reads, on a CPU.
//
// oneDNN's backward passes of such a convolution go over all pixels and take longer than those of a 3x3 convolution; of
// the pixels by themselves it is a product of matrices.
#pragma once

#include <ATen/core/Tensor.h>

namespace crescendo::nn {

// images: [n, C, H, W] on the CPU. Result: [n, C, ceil(H / stride), ceil(W / stride)] in channels_last order, pixel
// (y, x) being (stride y, stride x) of the images.
at::Tensor EveryNthPixel(const at::Tensor& images, int64_t stride);

}  // namespace crescendo::nn
