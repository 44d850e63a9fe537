#include "crescendo/data/augment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

namespace crescendo::data {
namespace {

using config::Padding;
using ::testing::ElementsAre;

// One row "1 2 3 4" as it is shown, with numbers as stored.
std::vector<float> ShownRow(Placement placement, Padding padding) {
  ImageWriter writer({.channels = 1, .height = 1, .width = 4}, padding, Normalisation({0}, {1.0f / 255}));
  const std::array<uint8_t, 4> image = {1, 2, 3, 4};
  std::vector<float> result(4);
  writer.Write(image.data(), placement, result.data());
  return result;
}

TEST(Augment, CropsPadsAndMirrorsARow) {
  EXPECT_THAT(ShownRow({.right = 0}, Padding::kReflect), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(ShownRow({.right = 2}, Padding::kReflect), ElementsAre(3, 4, 3, 2));
  EXPECT_THAT(ShownRow({.right = -2}, Padding::kReflect), ElementsAre(3, 2, 1, 2));
  EXPECT_THAT(ShownRow({.right = 2}, Padding::kZero), ElementsAre(3, 4, 0, 0));
  EXPECT_THAT(ShownRow({.right = 0, .mirrored = true}, Padding::kReflect), ElementsAre(4, 3, 2, 1));
  EXPECT_THAT(ShownRow({.right = 1, .mirrored = true}, Padding::kZero), ElementsAre(0, 4, 3, 2));
}

TEST(Augment, NormalisesAndPadsWithTheMeanColour) {
  ImageWriter writer({.channels = 3, .height = 2, .width = 1}, Padding::kZero,
                     Normalisation({0.5f, 0.0f, 1.0f}, {0.5f, 0.25f, 1.0f}));
  const std::array<uint8_t, 6> image = {0, 255, 0, 51, 102, 255};  // red, green, blue: upper and lower pixel
  std::vector<float> result(6);
  writer.Write(image.data(), {.down = 1}, result.data());
  const std::array<float, 6> expected = {1, 0.8f, 0, 0, 0, 0};  // the lower pixel, channels side by side; then the pad
  for (size_t i = 0; i < 6; ++i) EXPECT_NEAR(result[i], expected[i], 1e-6);
}

// The fast writer against the definition, for every placement.
TEST(Augment, RowsAreTheSameAsPixelByPixel) {
  for (const ImageShape shape : {ImageShape{3, 5, 7}, ImageShape{1, 28, 28}, ImageShape{3, 32, 32}}) {
    std::vector<uint8_t> image(static_cast<size_t>(shape.size()));
    for (size_t i = 0; i < image.size(); ++i) image[i] = static_cast<uint8_t>(RandomBits(1, i));
    const Normalisation normalisation({0.1f, 0.5f, 0.9f}, {0.2f, 0.3f, 0.25f});
    std::vector<float> result(image.size());
    for (const Padding padding : {Padding::kReflect, Padding::kZero}) {
      ImageWriter writer(shape, padding, normalisation);
      int64_t wrong = 0;
      for (int32_t down = -4; down <= 4; ++down) {
        for (int32_t right = -4; right <= 4; ++right) {
          for (const bool mirrored : {false, true}) {
            const Placement placement{down, right, mirrored};
            writer.Write(image.data(), placement, result.data());
            const float* pixel = result.data();
            for (int64_t y = 0; y < shape.height; ++y) {
              for (int64_t x = 0; x < shape.width; ++x) {
                for (int64_t channel = 0; channel < shape.channels; ++channel, ++pixel) {
                  const uint8_t* plane = image.data() + channel * shape.height * shape.width;
                  wrong += *pixel != AugmentedPixel(plane, shape, placement, padding, normalisation.scale[channel],
                                                    normalisation.shift[channel], y, x);
                }
              }
            }
          }
        }
      }
      EXPECT_EQ(wrong, 0) << shape.width << " pixels wide, " << NameOf(padding);
    }
  }
}

TEST(Augment, DrawsEveryPlacementEquallyOften) {
  const uint64_t key = RandomKey(1, Stream::kAugmentation, 0);
  std::map<std::tuple<int32_t, int32_t, bool>, int> counts;
  for (int64_t example = 0; example < 180'000; ++example) {
    const Placement placement = DrawPlacement({.pad = 4, .flip = true}, key, example);
    ++counts[{placement.down, placement.right, placement.mirrored}];
  }
  ASSERT_EQ(counts.size(), 9 * 9 * 2);
  for (const auto& [placement, count] : counts) EXPECT_NEAR(count, 1'111, 200);  // deviation 33
  EXPECT_EQ(std::get<0>(counts.begin()->first), -4);
}

TEST(Augment, DrawsDifferByEpochAndNothingMovesWhereNothingIsAsked) {
  int same = 0;
  for (int64_t example = 0; example < 1'000; ++example) {
    const auto draw = [&](uint64_t epoch) {
      return DrawPlacement({.pad = 4, .flip = true}, RandomKey(1, Stream::kAugmentation, epoch), example);
    };
    same += draw(0).down == draw(1).down && draw(0).right == draw(1).right && draw(0).mirrored == draw(1).mirrored;
    const Placement still = DrawPlacement({.pad = 0, .flip = false}, RandomKey(1, Stream::kAugmentation, 0), example);
    EXPECT_TRUE(still.down == 0 && still.right == 0 && !still.mirrored);
  }
  EXPECT_LT(same, 30);  // about 1,000 / 162
}

}  // namespace
}  // namespace crescendo::data
