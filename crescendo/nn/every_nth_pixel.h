// The pixels that a strided convolution of single pixels reads, on a CPU.
//
// oneDNN's backward passes of such a convolution go over all pixels; of the pixels by themselves it is a product of
// matrices, and its gradient is added to a few pixels of the other.
#pragma once

#include <ATen/core/Tensor.h>

namespace crescendo::nn {

struct ImagesAndPixels {
  at::Tensor images;  // for all else that reads them
  at::Tensor pixels;  // [n, C, ceil(H / stride), ceil(W / stride)] in channels_last order
};

// images: [n, C, H, W] on the CPU. Pixel (y, x) of the result is (stride y, stride x) of the images.
ImagesAndPixels EveryNthPixel(const at::Tensor& images, int64_t stride);

}  // namespace crescendo::nn
