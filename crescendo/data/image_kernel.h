// The images of a batch from the bytes of a data set that is where the batch is wanted: one kernel over all pixels that
// picks the examples, crops, mirrors and normalises them. No image passes through the host.
//
// A pixel is computed by the functions that define it (augment.h), without fused multiply-add, so the images are those
// of ImageWriter to the bit, on a GPU and on a CPU. WriteImages on a CPU is a plain loop over the same function: it is
// for tests, which hold the kernel's logic to the definition on machines without a GPU.
#pragma once

#include <array>
#include <cstdint>

#include "crescendo/data/augment.h"

namespace crescendo::data {

// What the kernel is given, by value. All pointers are to memory of the device that it runs on.
struct ImageJob {
  const uint8_t* stored = nullptr;    // [N, C, H, W]: the data set
  const int64_t* examples = nullptr;  // [count]: which of them, in the order of the batch
  float* result = nullptr;            // [count, H, W, C]: part of a channels_last batch
  int64_t count = 0;
  ImageShape shape;  // at most three channels
  AugmentOptions augment;
  uint64_t key = 0;              // RandomKey(seed, Stream::kAugmentation, epoch)
  std::array<float, 3> scale{};  // Normalisation
  std::array<float, 3> shift{};
};

// Pixel y * W + x of image `i` of the result, all its channels.
constexpr void WritePixel(const ImageJob& job, int64_t i, const Placement& placement, int32_t pixel) {
  const ImageShape& shape = job.shape;
  const auto width = static_cast<int32_t>(shape.width);
  const uint8_t* image = job.stored + job.examples[i] * shape.size();
  float* result = job.result + i * shape.size() + pixel * shape.channels;
  for (int64_t channel = 0; channel < shape.channels; ++channel) {
    const uint8_t* plane = image + channel * shape.height * shape.width;
    result[channel] = AugmentedPixel(plane, shape, placement, job.augment.padding, job.scale[channel],
                                     job.shift[channel], pixel / width, pixel % width);
  }
}

// On the CPU.
void WriteImages(const ImageJob& job);

// On the current CUDA stream of the current device; returns before it is done. Only in a build with CRESCENDO_CUDA.
void WriteImagesOnGpu(const ImageJob& job);

}  // namespace crescendo::data
