// How a training image looks in an epoch: padded, cropped at a random place, perhaps mirrored, and normalised. The
// draws are a function of (seed, epoch, example), so the look does not depend on batches, threads or ranks.
//
// This header holds what is meant, pixel by pixel, as constexpr functions without tensors, so that a CUDA kernel can
// call them; ImageWriter does the same row by row, which is what makes it fast on a CPU.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "crescendo/base/random.h"
#include "crescendo/config/options.h"

namespace crescendo::data {

struct AugmentOptions {
  int64_t pad = 4;  // pixels on each side, below height and width
  config::Padding padding = config::Padding::kReflect;
  bool flip = true;
};

struct ImageShape {
  int64_t channels = 3;
  int64_t height = 32;
  int64_t width = 32;

  constexpr int64_t size() const { return channels * height * width; }
};

// Which part of the padded image is shown. Pixel (y, x) of the result is pixel (y + down, x + right) of the stored
// image, and what lies outside of that is padding; where mirrored, x counts from the right. All zero: the image as it
// is.
struct Placement {
  int32_t down = 0;   // in [-pad, pad]
  int32_t right = 0;  // in [-pad, pad]
  bool mirrored = false;
};

// `key`: RandomKey(seed, Stream::kAugmentation, epoch).
constexpr Placement DrawPlacement(const AugmentOptions& options, uint64_t key, int64_t example) {
  const auto index = static_cast<uint64_t>(example);
  const auto words = Philox({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), 0, 0}, key);
  const auto places = static_cast<uint64_t>(2 * options.pad + 1);
  const auto shift = [&](uint32_t word) {
    return static_cast<int32_t>((uint64_t{word} * places) >> 32) - static_cast<int32_t>(options.pad);
  };
  return {.down = shift(words[0]), .right = shift(words[1]), .mirrored = options.flip && (words[2] >> 31) != 0};
}

// Where in [0, size) a row or column of the padded image is taken from, if the pad shows the image mirrored at its
// edge, the edge itself not repeated: -1 is 1. For -size < index < 2 size - 1.
constexpr int64_t ReflectedIndex(int64_t index, int64_t size) {
  if (index < 0) return -index;
  return index < size ? index : 2 * (size - 1) - index;
}

// Channel c of a normalised pixel is byte * scale[c] + shift[c], which is (byte / 255 - mean[c]) / deviation[c].
struct Normalisation {
  std::vector<float> scale;
  std::vector<float> shift;

  Normalisation(const std::vector<float>& mean, const std::vector<float>& deviation);
};

// The definition of the result at (y, x), from one channel of a stored image, [height, width]. Padding::kZero shows the
// mean colour, which is 0 after normalisation.
constexpr float AugmentedPixel(const uint8_t* plane, const ImageShape& shape, const Placement& placement,
                               config::Padding padding, float scale, float shift, int64_t y, int64_t x) {
  int64_t row = y + placement.down;
  int64_t column = (placement.mirrored ? shape.width - 1 - x : x) + placement.right;
  const bool outside = row < 0 || row >= shape.height || column < 0 || column >= shape.width;
  if (outside && padding == config::Padding::kZero) return 0;
  row = ReflectedIndex(row, shape.height);
  column = ReflectedIndex(column, shape.width);
  return static_cast<float>(plane[row * shape.width + column]) * scale + shift;
}

// Writes whole images. Each thread has its own.
class ImageWriter {
 public:
  ImageWriter(const ImageShape& shape, config::Padding padding, Normalisation normalisation);

  // image: [C, H, W], as stored. result: [H, W, C], which is an image of a channels_last batch.
  void Write(const uint8_t* image, const Placement& placement, float* result);

 private:
  ImageShape shape_;
  config::Padding padding_;
  Normalisation normalisation_;
  std::vector<uint8_t> row_;  // the bytes of one row of the result, [C, W]
};

}  // namespace crescendo::data
