#include "crescendo/data/augment.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "crescendo/base/error.h"

// Compiled twice, for any x86-64 and for AVX2, chosen when the program starts. Without fused multiply-add both give the
// same bits.
// (ThreadSanitizer crashes in such functions before main.)
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__)
#define CRESCENDO_WITH_AVX2 __attribute__((target_clones("avx2", "default")))
#else
#define CRESCENDO_WITH_AVX2
#endif

namespace crescendo::data {
namespace {

// result[x][c] = row[c][x] * scale[c] + shift[c]; where mirrored, with x from the right.
CRESCENDO_WITH_AVX2 void NormaliseColourRow(const uint8_t* __restrict row, int64_t width, bool mirrored,
                                            const float* __restrict scale, const float* __restrict shift,
                                            float* __restrict result) {
  const uint8_t* red = row;
  const uint8_t* green = row + width;
  const uint8_t* blue = row + 2 * width;
  const float scales[3] = {scale[0], scale[1], scale[2]};
  const float shifts[3] = {shift[0], shift[1], shift[2]};
  if (mirrored) {
    for (int64_t x = 0; x < width; ++x) {
      result[3 * x] = static_cast<float>(red[width - 1 - x]) * scales[0] + shifts[0];
      result[3 * x + 1] = static_cast<float>(green[width - 1 - x]) * scales[1] + shifts[1];
      result[3 * x + 2] = static_cast<float>(blue[width - 1 - x]) * scales[2] + shifts[2];
    }
  } else {
    for (int64_t x = 0; x < width; ++x) {
      result[3 * x] = static_cast<float>(red[x]) * scales[0] + shifts[0];
      result[3 * x + 1] = static_cast<float>(green[x]) * scales[1] + shifts[1];
      result[3 * x + 2] = static_cast<float>(blue[x]) * scales[2] + shifts[2];
    }
  }
}

CRESCENDO_WITH_AVX2 void NormaliseGreyRow(const uint8_t* __restrict row, int64_t width, bool mirrored, float scale,
                                          float shift, float* __restrict result) {
  if (mirrored) {
    for (int64_t x = 0; x < width; ++x) result[x] = static_cast<float>(row[width - 1 - x]) * scale + shift;
  } else {
    for (int64_t x = 0; x < width; ++x) result[x] = static_cast<float>(row[x]) * scale + shift;
  }
}

}  // namespace

Normalisation::Normalisation(const std::vector<float>& mean, const std::vector<float>& deviation) {
  for (size_t channel = 0; channel < mean.size(); ++channel) {
    scale.push_back(1 / (255 * deviation[channel]));
    shift.push_back(-mean[channel] / deviation[channel]);
  }
}

ImageWriter::ImageWriter(const ImageShape& shape, config::Padding padding, Normalisation normalisation)
    : shape_(shape),
      padding_(padding),
      normalisation_(std::move(normalisation)),
      row_(static_cast<size_t>(shape.channels * shape.width)) {
  CRESCENDO_ASSERT(shape.channels == 1 || shape.channels == 3, "images are grey or have three colours");
}

void ImageWriter::Write(const uint8_t* image, const Placement& placement, float* result) {
  const auto [channels, height, width] = shape_;
  const float* scale = normalisation_.scale.data();
  const float* shift = normalisation_.shift.data();
  // Columns [first, last) of the cropped row, before it is mirrored, show the image; the others the pad.
  const int64_t first = std::max<int64_t>(0, -placement.right);
  const int64_t last = std::min<int64_t>(width, width - placement.right);
  for (int64_t y = 0; y < height; ++y, result += width * channels) {
    int64_t source = y + placement.down;
    if (padding_ == config::Padding::kZero && (source < 0 || source >= height)) {
      std::fill_n(result, width * channels, 0.0f);
      continue;
    }
    source = ReflectedIndex(source, height);
    for (int64_t channel = 0; channel < channels; ++channel) {
      const uint8_t* stored = image + (channel * height + source) * width;
      uint8_t* cropped = row_.data() + channel * width;
      for (int64_t x = 0; x < first; ++x) cropped[x] = stored[ReflectedIndex(x + placement.right, width)];
      std::memcpy(cropped + first, stored + first + placement.right, static_cast<size_t>(last - first));
      for (int64_t x = last; x < width; ++x) cropped[x] = stored[ReflectedIndex(x + placement.right, width)];
    }
    if (channels == 3) {
      NormaliseColourRow(row_.data(), width, placement.mirrored, scale, shift, result);
    } else {
      NormaliseGreyRow(row_.data(), width, placement.mirrored, *scale, *shift, result);
    }
    if (padding_ == config::Padding::kZero) {
      const int64_t left = placement.mirrored ? width - last : first;
      const int64_t right = placement.mirrored ? first : width - last;
      std::fill_n(result, left * channels, 0.0f);
      std::fill_n(result + (width - right) * channels, right * channels, 0.0f);
    }
  }
}

}  // namespace crescendo::data
