#include "crescendo/data/synthetic.h"

#include <ATen/ops/empty.h>

#include <array>

#include "crescendo/base/random.h"

namespace crescendo::data {
namespace {

constexpr int64_t kChannels = 3;
constexpr int64_t kTiles = 4;         // the mosaic has 4x4 of them
constexpr int kMosaicAmplitude = 64;  // of the 128 on each side of mid-grey
constexpr int kNoiseAmplitude = 64;   // together they never leave the range of a byte
constexpr uint64_t kMosaics = 0;      // the parts of the stream
constexpr uint64_t kTrainNoise = 1;
constexpr uint64_t kTestNoise = 2;

using Mosaic = std::array<int, kChannels * kTiles * kTiles>;  // each value in [-kMosaicAmplitude, kMosaicAmplitude)

std::vector<Mosaic> DrawMosaics(int64_t classes, uint64_t seed) {
  const uint64_t key = RandomKey(seed, Stream::kSyntheticData, kMosaics);
  std::vector<Mosaic> mosaics(static_cast<size_t>(classes));
  for (size_t label = 0; label < mosaics.size(); ++label) {
    for (size_t i = 0; i < mosaics[label].size(); ++i) {
      const uint64_t bits = RandomBits(key, label, static_cast<uint32_t>(i));
      mosaics[label][i] = static_cast<int>(RandomBelow(bits, 2 * kMosaicAmplitude)) - kMosaicAmplitude;
    }
  }
  return mosaics;
}

// The mosaic of `label`, with a share of 128/256 to 255/256, and another class's.
Mosaic Mix(const std::vector<Mosaic>& mosaics, size_t label, uint64_t bits) {
  const size_t others = mosaics.size() - 1;
  const size_t other = (label + 1 + static_cast<size_t>(RandomBelow(bits, others))) % mosaics.size();
  const int share = 128 + static_cast<int>(bits & 127);
  Mosaic mixed;
  for (size_t i = 0; i < mixed.size(); ++i) {
    mixed[i] = (share * mosaics[label][i] + (256 - share) * mosaics[other][i]) / 256;
  }
  return mixed;
}

Dataset MakeImages(const std::vector<Mosaic>& mosaics, int64_t examples, int64_t size, uint64_t key) {
  Dataset data;
  data.name = "synthetic";
  data.classes = static_cast<int64_t>(mosaics.size());
  data.inputs = at::empty({examples, kChannels, size, size}, at::kByte);
  data.labels = at::empty({examples}, at::kLong);
  uint8_t* pixel = data.inputs.mutable_data_ptr<uint8_t>();
  int64_t* labels = data.labels.mutable_data_ptr<int64_t>();
  for (int64_t example = 0; example < examples; ++example) {
    labels[example] = example % data.classes;
    const Mosaic mixed = Mix(mosaics, static_cast<size_t>(labels[example]), RandomBits(key, example));
    uint32_t draw = 0;
    int unused_bytes = 0;
    uint64_t noise = 0;
    for (int64_t channel = 0; channel < kChannels; ++channel) {
      for (int64_t y = 0; y < size; ++y) {
        const int* tiles = mixed.data() + (channel * kTiles + y * kTiles / size) * kTiles;
        for (int64_t x = 0; x < size; ++x) {
          if (unused_bytes == 0) {
            noise = RandomBits(key, example, ++draw);
            unused_bytes = 8;
          }
          const int offset = static_cast<int>(noise & (2 * kNoiseAmplitude - 1)) - kNoiseAmplitude;
          noise >>= 8;
          --unused_bytes;
          *pixel++ = static_cast<uint8_t>(128 + tiles[x * kTiles / size] + offset);
        }
      }
    }
  }
  return data;
}

}  // namespace

int64_t SyntheticTrainExamples(const config::DataOptions& options) {
  return options.train_examples == 0 ? 10'000 : options.train_examples;
}

DatasetPair MakeSyntheticImages(const config::DataOptions& options, uint64_t seed) {
  const std::vector<Mosaic> mosaics = DrawMosaics(options.classes, seed);
  const int64_t test_examples = options.test_examples == 0 ? 2'000 : options.test_examples;
  return {.train = MakeImages(mosaics, SyntheticTrainExamples(options), options.image_size,
                              RandomKey(seed, Stream::kSyntheticData, kTrainNoise)),
          .test = MakeImages(mosaics, test_examples, options.image_size,
                             RandomKey(seed, Stream::kSyntheticData, kTestNoise))};
}

}  // namespace crescendo::data
