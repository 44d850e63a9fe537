// Randomness as an argument. There is no generator with a state: a draw is a pure function of what it is for.
//
//   uint64_t key = RandomKey(seed, Stream::kExampleOrder, epoch);
//   uint64_t draw = RandomBits(key, index);
//
// so that any example of any epoch can be made by any thread, rank or device, in any order, with the same result.
//
// The function is Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), the
// counter-based generator that cuRAND and PyTorch use; it is constexpr and has no tables, so a CUDA kernel can call the
// same code.
#pragma once

#include <array>
#include <cstdint>

namespace crescendo {

// What a draw is for. Two streams never share draws. The numbers are part of the meaning of a seed: never reuse one.
enum class Stream : uint32_t {
  kInitialWeights = 1,
  kExampleOrder = 2,
  kAugmentation = 3,
  kSyntheticData = 4,
  kBootstrap = 21,
  kTrialOrder = 22,
};

// Philox4x32-10: four 32-bit words from a 128-bit counter and a 64-bit key.
constexpr std::array<uint32_t, 4> Philox(std::array<uint32_t, 4> counter, uint64_t key) {
  uint32_t key_low = static_cast<uint32_t>(key);
  uint32_t key_high = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t product_0 = uint64_t{0xD2511F53} * counter[0];
    const uint64_t product_1 = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(product_1 >> 32) ^ counter[1] ^ key_low, static_cast<uint32_t>(product_1),
               static_cast<uint32_t>(product_0 >> 32) ^ counter[3] ^ key_high, static_cast<uint32_t>(product_0)};
    key_low += 0x9E3779B9;
    key_high += 0xBB67AE85;
  }
  return counter;
}

// A key for the draws of one purpose: for example (seed, kExampleOrder, epoch).
constexpr uint64_t RandomKey(uint64_t seed, Stream stream, uint64_t part = 0) {
  const auto words =
      Philox({static_cast<uint32_t>(part), static_cast<uint32_t>(part >> 32), static_cast<uint32_t>(stream), 0}, seed);
  return (uint64_t{words[1]} << 32) | words[0];
}

// 64 uniform bits: the draw number `index` (and `sub`, for several draws of one thing) under `key`.
constexpr uint64_t RandomBits(uint64_t key, uint64_t index, uint32_t sub = 0) {
  const auto words = Philox({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), sub, 0}, key);
  return (uint64_t{words[1]} << 32) | words[0];
}

// A uniform integer in [0, bound), from 64 uniform bits (Lemire's multiply-shift; its bias, below bound / 2^64, cannot
// be seen).
constexpr uint64_t RandomBelow(uint64_t bits, uint64_t bound) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<uint64_t>((Wide{bits} * bound) >> 64);
}

// A uniform number in [0, 1) with 53 bits.
constexpr double RandomUnit(uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1.0p-53; }

}  // namespace crescendo
