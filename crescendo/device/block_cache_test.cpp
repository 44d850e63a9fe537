#include "crescendo/device/block_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "crescendo/base/random.h"

namespace crescendo::device {
namespace {

constexpr size_t kMiB = size_t{1} << 20;
constexpr size_t kNoLimit = ~size_t{0};

TEST(BlockCache, ClassesAreEightToADoublingAndOfLargeBlocks64) {
  const std::pair<size_t, size_t> cases[] = {
      {1, 64},      {64, 64},     {65, 128},    {513, 576},           {1024, 1024},
      {1025, 1152}, {1152, 1152}, {2047, 2048}, {2 * kMiB, 2 * kMiB}, {2 * kMiB + 1, 2 * kMiB + kMiB / 32}};
  for (const auto& [bytes, size] : cases) EXPECT_EQ(BlockCache::ClassSize(bytes), size) << bytes;
  for (size_t bytes = 512; bytes < 100 * kMiB; bytes += bytes / 7 + 1) {
    const size_t size = BlockCache::ClassSize(bytes);
    EXPECT_GE(size, bytes);
    EXPECT_LE(size, bytes + bytes / (bytes < 2 * kMiB ? 8 : 64) + 1) << bytes;
    EXPECT_EQ(BlockCache::ClassSize(size), size) << bytes;
    EXPECT_EQ(size % 64, 0) << bytes;
  }
}

TEST(BlockCache, BlocksAreAlignedAndDoNotOverlap) {
  BlockCache cache(kNoLimit);
  std::vector<std::pair<uint8_t*, size_t>> blocks;
  for (const size_t bytes :
       {size_t{1}, size_t{100}, 100'000 * size_t{1}, kMiB, 2 * kMiB, 2 * kMiB + 1, 5 * kMiB, 64 * size_t{1}}) {
    auto* block = static_cast<uint8_t*>(cache.Take(bytes));
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % (bytes >= 2 * kMiB ? 2 * kMiB : 64), 0) << bytes;
    std::memset(block, static_cast<int>(blocks.size()), bytes);
    blocks.emplace_back(block, bytes);
  }
  for (size_t i = 0; i < blocks.size(); ++i) {
    const auto [block, bytes] = blocks[i];
    EXPECT_TRUE(std::all_of(block, block + bytes, [&](uint8_t byte) { return byte == i; })) << bytes;
    cache.Give(block);
  }
}

TEST(BlockCache, GivesOutAgainWhatCameBackLast) {
  BlockCache cache(kNoLimit);
  void* first = cache.Take(1000);
  void* second = cache.Take(1000);
  EXPECT_EQ(cache.statistics().in_use, 2048);
  cache.Give(first);
  cache.Give(second);
  EXPECT_EQ(cache.statistics().in_use, 0);
  EXPECT_EQ(cache.statistics().kept, 2048);
  EXPECT_EQ(cache.Take(1001), second);
  EXPECT_EQ(cache.Take(1024), first);
  EXPECT_EQ(cache.statistics().system_allocations, 2);
  EXPECT_EQ(cache.statistics().peak_in_use, 2048);
  cache.Give(first);
  cache.Give(second);
}

// Ghosts of 134 and of 133 examples, in turns: one set of blocks serves both.
TEST(BlockCache, ALargeBlockServesWhatIsALittleSmaller) {
  BlockCache cache(kNoLimit);
  const size_t bytes = 134 * kMiB / 16;
  void* block = cache.Take(bytes);
  const size_t size = cache.statistics().in_use;
  cache.Give(block);
  EXPECT_EQ(cache.Take(133 * kMiB / 16), block);
  EXPECT_EQ(cache.statistics().in_use, size);  // of the block, and not of what was asked for
  cache.Give(block);
  EXPECT_EQ(cache.Take(bytes), block);
  cache.Give(block);
  void* half = cache.Take(bytes / 2);
  EXPECT_NE(half, block);
  void* larger = cache.Take(140 * kMiB / 16);
  EXPECT_NE(larger, block);
  EXPECT_EQ(cache.statistics().system_allocations, 3);
  cache.Give(half);
  cache.Give(larger);
}

TEST(BlockCache, AProgramThatRepeatsItselfAsksTheSystemNoMore) {
  BlockCache cache(kNoLimit);
  const auto step = [&] {
    std::vector<void*> blocks;
    for (const size_t bytes : {3 * kMiB, size_t{70}, 3 * kMiB, 5 * kMiB, size_t{9000}})
      blocks.push_back(cache.Take(bytes));
    for (void* block : blocks) cache.Give(block);
  };
  step();
  const uint64_t after_one = cache.statistics().system_allocations;
  for (int i = 0; i < 10; ++i) step();
  EXPECT_EQ(cache.statistics().system_allocations, after_one);
}

TEST(BlockCache, BeyondTheLimitTheOldestGoFirst) {
  BlockCache cache(10 * 1024);
  void* a = cache.Take(4096);
  void* b = cache.Take(2048);
  void* c = cache.Take(3072);
  cache.Give(a);
  cache.Give(b);
  cache.Give(c);
  EXPECT_EQ(cache.statistics().kept, 9216);  // below the limit: all
  void* d = cache.Take(1536);                // of a class that is not kept: 9216 + 1536 > 10240, so a goes
  EXPECT_EQ(cache.statistics().kept, 5120);
  EXPECT_EQ(cache.Take(2048), b);
  EXPECT_EQ(cache.Take(3072), c);
  cache.Give(b);
  cache.Give(c);
  cache.Give(d);

  // What is in use may exceed the limit; then nothing is kept.
  void* large = cache.Take(20 * 1024);
  EXPECT_EQ(cache.statistics().kept, 0);
  void* small = cache.Take(100);
  cache.Give(small);
  EXPECT_EQ(cache.statistics().kept, 0);
  cache.Give(large);
  EXPECT_EQ(cache.statistics().kept, 0);
  EXPECT_EQ(cache.statistics().in_use, 0);
}

TEST(BlockCache, ClearGivesBackWhatIsKeptAndNothingElse) {
  BlockCache cache(kNoLimit);
  auto* used = static_cast<uint8_t*>(cache.Take(3 * kMiB));
  used[0] = 7;
  cache.Give(cache.Take(3 * kMiB));
  cache.Clear();
  EXPECT_EQ(cache.statistics().kept, 0);
  EXPECT_EQ(cache.statistics().in_use, 3 * kMiB);
  EXPECT_EQ(used[0], 7);
  cache.Give(used);
}

TEST(BlockCache, WhatTheSystemDoesNotHaveIsNull) {
  BlockCache cache(kNoLimit);
  cache.Give(cache.Take(3 * kMiB));
  EXPECT_EQ(cache.Take(size_t{1} << 60), nullptr);
  EXPECT_EQ(cache.Take(~size_t{0}), nullptr);
  EXPECT_EQ(cache.statistics().in_use, 0);
  EXPECT_EQ(cache.statistics().kept, 0) << "it was given back, in case it would have helped";
}

// Threads take, fill, check and hand blocks on to whichever thread comes next, which gives them back.
TEST(BlockCache, ThreadsGiveBackEachOthersBlocks) {
  struct Filled {
    uint8_t* block;
    size_t bytes;
    uint8_t value;
  };
  BlockCache cache(8 * kMiB);
  std::mutex mutex;
  std::deque<Filled> shared;
  std::atomic<int> damaged = 0;
  const auto check_and_give = [&](const Filled& filled) {
    if (!std::all_of(filled.block, filled.block + filled.bytes, [&](uint8_t byte) { return byte == filled.value; })) {
      ++damaged;
    }
    cache.Give(filled.block);
  };
  const auto work = [&](uint64_t thread) {
    for (uint64_t i = 0; i < 2000; ++i) {
      const uint64_t bits = RandomBits(thread, i);
      const size_t bytes = 1 + RandomBelow(bits, bits % 100 == 0 ? 3 * kMiB : 5000);
      const Filled made{static_cast<uint8_t*>(cache.Take(bytes)), bytes, static_cast<uint8_t>(bits)};
      std::memset(made.block, made.value, bytes);
      Filled taken{};
      {
        const std::lock_guard lock(mutex);
        shared.push_back(made);
        if (shared.size() < 20) continue;
        taken = shared.front();
        shared.pop_front();
      }
      check_and_give(taken);
    }
  };
  {
    std::vector<std::jthread> threads;
    for (uint64_t thread = 0; thread < 4; ++thread) threads.emplace_back(work, thread);
  }
  for (const Filled& filled : shared) check_and_give(filled);
  EXPECT_EQ(damaged, 0);
  EXPECT_EQ(cache.statistics().in_use, 0);
  EXPECT_LE(cache.statistics().kept, 8 * kMiB);
}

}  // namespace
}  // namespace crescendo::device
