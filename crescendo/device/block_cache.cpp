#include "crescendo/device/block_cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>

#include "crescendo/base/error.h"

namespace crescendo::device {
namespace {

constexpr size_t kAlignment = 64;  // a cache line, and AVX-512's widest load
constexpr size_t kHugePage = size_t{2} << 20;

// `size` is a multiple of 32 KiB (a class of 2 MiB or more), so of the page size.
void* MapHugePages(size_t size) {
  // The kernel aligns to small pages; what stands over on both sides goes back at once.
  void* mapped = ::mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  auto* begin = static_cast<std::byte*>(mapped);
  const size_t address = reinterpret_cast<size_t>(begin);
  const size_t before = (kHugePage - address % kHugePage) % kHugePage;
  std::byte* aligned = begin + before;
  if (before > 0) ::munmap(begin, before);
  if (before < kHugePage) ::munmap(aligned + size, kHugePage - before);
  ::madvise(aligned, size, MADV_HUGEPAGE);  // a wish: without huge pages the memory is as good, only slower
  return aligned;
}

void* TakeFromSystem(size_t size) {
  return size >= kHugePage ? MapHugePages(size) : std::aligned_alloc(kAlignment, size);
}

void GiveToSystem(void* block, size_t size) {
  if (size >= kHugePage) {
    ::munmap(block, size);
  } else {
    std::free(block);
  }
}

}  // namespace

size_t BlockCache::ClassSize(size_t bytes) {
  const size_t least = std::max(bytes, kAlignment);
  // Multiples of a part of the power of two below, and of the alignment.
  const size_t step = std::max(kAlignment, std::bit_floor(least) / (least < kHugePage ? 8 : 64));
  return (least + step - 1) / step * step;
}

BlockCache::~BlockCache() { Clear(); }

void* BlockCache::Take(size_t bytes) {
  constexpr size_t kLargest = ~size_t{0} / 4;  // so that no sum below overflows
  if (bytes > kLargest) return nullptr;
  const size_t size = ClassSize(bytes);
  const std::lock_guard lock(mutex_);
  if (void* kept = TakeKept(size)) return kept;
  const size_t needed = statistics_.in_use + size;
  EvictUntilBelow(limit_ > needed ? limit_ - needed : 0);
  void* block = TakeFromSystem(size);
  if (block == nullptr) {
    EvictUntilBelow(0);
    block = TakeFromSystem(size);
  }
  if (block == nullptr) return nullptr;
  ++statistics_.system_allocations;
  Lend(block, size);
  return block;
}

void* BlockCache::TakeKept(size_t size) {
  const size_t largest = size < kHugePage ? size : size + size / 8;
  for (auto found = kept_.lower_bound(size); found != kept_.end() && found->first <= largest; ++found) {
    if (found->second.empty()) continue;
    void* block = found->second.back().block;
    found->second.pop_back();
    statistics_.kept -= found->first;
    Lend(block, found->first);
    return block;
  }
  return nullptr;
}

void BlockCache::Lend(void* block, size_t size) {
  taken_.emplace(block, size);
  statistics_.in_use += size;
  statistics_.peak_in_use = std::max(statistics_.peak_in_use, statistics_.in_use);
}

void BlockCache::Give(void* block) {
  const std::lock_guard lock(mutex_);
  const auto found = taken_.find(block);
  CRESCENDO_ASSERT(found != taken_.end(), "a block comes back to the cache that gave it out, once");
  const size_t size = found->second;
  taken_.erase(found);
  statistics_.in_use -= size;
  statistics_.kept += size;
  kept_[size].push_back({block, gives_++});
  EvictUntilBelow(limit_ > statistics_.in_use ? limit_ - statistics_.in_use : 0);
}

void BlockCache::Clear() {
  const std::lock_guard lock(mutex_);
  EvictUntilBelow(0);
}

CacheStatistics BlockCache::statistics() const {
  const std::lock_guard lock(mutex_);
  return statistics_;
}

void BlockCache::ForgetPeak() {
  const std::lock_guard lock(mutex_);
  statistics_.peak_in_use = statistics_.in_use;
}

void BlockCache::EvictUntilBelow(size_t bytes) {
  while (statistics_.kept > bytes) EvictOldest();
}

void BlockCache::EvictOldest() {
  // There are a few hundred classes, and whoever evicts is about to ask the system for memory, which takes longer than
  // this search.
  auto oldest = kept_.end();
  for (auto list = kept_.begin(); list != kept_.end(); ++list) {
    if (list->second.empty()) continue;
    if (oldest == kept_.end() || list->second.front().since < oldest->second.front().since) oldest = list;
  }
  CRESCENDO_ASSERT(oldest != kept_.end(), "the bytes that are kept are those of the blocks that are kept");
  const size_t size = oldest->first;
  GiveToSystem(oldest->second.front().block, size);
  oldest->second.pop_front();
  statistics_.kept -= size;
}

}  // namespace crescendo::device
