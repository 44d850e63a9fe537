#include "crescendo/device/cpu_allocator.h"

#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>

#include <atomic>

#include "crescendo/device/machine.h"

namespace crescendo::device {
namespace {

// LibTorch knows memory by a pointer and a plain function that frees it, so there is one cache, and it is never
// destroyed: tensors in static variables are freed after main.
std::atomic<BlockCache*> cache = nullptr;

void Free(void* block) {
  if (block != nullptr) cache.load(std::memory_order_acquire)->Give(block);
}

class CachingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    void* block = nullptr;
    if (bytes > 0) {
      block = cache.load(std::memory_order_acquire)->Take(bytes);
      // The type by which a caller tells "does not fit" from other mistakes, as on GPUs.
      TORCH_CHECK_WITH(OutOfMemoryError, block != nullptr, "not enough memory for a tensor of ", bytes, " bytes");
    }
    return {block, block, &Free, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &Free; }
  void copy_data(void* target, const void* source, size_t bytes) const override {
    default_copy_data(target, source, bytes);
  }
};

}  // namespace

void InstallCachingCpuAllocator() {
  [[maybe_unused]] static const bool installed = [] {
    cache.store(new BlockCache(static_cast<size_t>(UsableMemoryBytes()) / 4 * 3), std::memory_order_release);
    c10::SetCPUAllocator(new CachingAllocator);
    return true;  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): both stay for as long as the program
  }();
}

bool KeepsCpuMemory() { return cache.load(std::memory_order_acquire) != nullptr; }

CacheStatistics CpuMemoryStatistics() {
  const BlockCache* installed = cache.load(std::memory_order_acquire);
  return installed == nullptr ? CacheStatistics{} : installed->statistics();
}

void ForgetCpuMemoryPeak() {
  if (BlockCache* installed = cache.load(std::memory_order_acquire)) installed->ForgetPeak();
}

void ReleaseKeptCpuMemory() {
  if (BlockCache* installed = cache.load(std::memory_order_acquire)) installed->Clear();
}

}  // namespace crescendo::device
