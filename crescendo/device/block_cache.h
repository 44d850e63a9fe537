// Memory that is given out in blocks and kept, when it comes back, for the next request of about the same size.
//
// A training step asks for the same few hundred blocks every time. The system's allocator returns the large ones to the
// kernel, which clears each page anew when it is touched again; that takes a fifth of a step of a convolutional network
// on a CPU.
//
// Requests are rounded up to size classes, eight to a doubling (64, 72, 80, ..., 128, 144, ...) and from 2 MiB on,
// where a step's memory is, 64 to a doubling; these also take a block that is kept and up to an eighth larger, since
// ghosts of 133 and of 134 examples ask in turns. Blocks of 2 MiB and more begin on a 2 MiB boundary and ask for huge
// pages. What is in use and what is kept stay together below the limit, as far as what is in use allows: beyond it the
// blocks that were kept longest without use go back to the system first.
//
// Thread-safe; a block may be given back by another thread than the one that took it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <unordered_map>

namespace crescendo::device {

struct CacheStatistics {
  size_t in_use = 0;                // bytes given out now, rounded up to their classes
  size_t kept = 0;                  // bytes that came back and are kept
  size_t peak_in_use = 0;           // the most bytes given out at one time, since ForgetPeak
  uint64_t system_allocations = 0;  // how often the system was asked for memory; constant once a program repeats itself
};

class BlockCache {
 public:
  explicit BlockCache(size_t limit) : limit_(limit) {}
  ~BlockCache();  // REQUIRES: every block was given back.
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  // At least `bytes` (> 0), aligned to 64 bytes or, from 2 MiB on, to 2 MiB. nullptr where the system has no more, even
  // with everything that is kept given back to it.
  void* Take(size_t bytes);
  void Give(void* block);  // REQUIRES: from Take of this cache.

  // Gives back to the system what is kept.
  void Clear();

  CacheStatistics statistics() const;

  // The peak is from now on that of what follows.
  void ForgetPeak();

  // The size that a request for `bytes` is rounded up to.
  static size_t ClassSize(size_t bytes);

 private:
  struct Kept {
    void* block;
    uint64_t since;  // in gives
  };

  void* TakeKept(size_t size);  // of that class or one that is near enough; nullptr where none is kept
  void Lend(void* block, size_t size);
  void EvictOldest();                  // REQUIRES: something is kept.
  void EvictUntilBelow(size_t bytes);  // what is kept, at most

  const size_t limit_;
  mutable std::mutex mutex_;
  std::unordered_map<void*, size_t> taken_;  // the class sizes of the blocks in use
  std::map<size_t, std::deque<Kept>>
      kept_;  // by class size; the newest last, as it is the likeliest to be in the processor's cache
  uint64_t gives_ = 0;
  CacheStatistics statistics_;
};

}  // namespace crescendo::device
