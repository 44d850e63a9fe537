#include "crescendo/device/memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#ifdef CRESCENDO_CUDA
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#endif

#include "crescendo/base/error.h"
#include "crescendo/device/cpu_allocator.h"
#include "crescendo/device/machine.h"

namespace crescendo::device {
namespace {

struct Use {
  int64_t in_use;
  int64_t peak;
  int64_t kept;  // not in use
};

#ifdef CRESCENDO_CUDA
Use GpuUse(c10::Device device) {
  constexpr auto kAll = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  const auto statistics = c10::cuda::CUDACachingAllocator::getDeviceStats(device.index());
  const auto& allocated = statistics.allocated_bytes[kAll];
  return {.in_use = allocated.current,
          .peak = allocated.peak,
          .kept = statistics.reserved_bytes[kAll].current - allocated.current};
}
#endif

Use CpuUse() {
  if (KeepsCpuMemory()) {
    const CacheStatistics statistics = CpuMemoryStatistics();
    return {.in_use = static_cast<int64_t>(statistics.in_use),
            .peak = static_cast<int64_t>(statistics.peak_in_use),
            .kept = static_cast<int64_t>(statistics.kept)};
  }
  std::ifstream stream("/proc/self/statm");  // pages: all, resident, ...
  int64_t all = 0;
  int64_t resident = 0;
  stream >> all >> resident;
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return {.in_use = resident * ::sysconf(_SC_PAGESIZE), .peak = int64_t{usage.ru_maxrss} * 1024, .kept = 0};
}

Use UseOf([[maybe_unused]] c10::Device device) {
#ifdef CRESCENDO_CUDA
  if (device.is_cuda()) return GpuUse(device);
#endif
  CRESCENDO_ASSERT(device.is_cpu(), "this program knows the memory of its devices");
  return CpuUse();
}

}  // namespace

int64_t FreeMemoryBytes(c10::Device device) {
  const int64_t kept = UseOf(device).kept;
#ifdef CRESCENDO_CUDA
  if (device.is_cuda()) {
    const c10::cuda::CUDAGuard guard(device);
    size_t free = 0;
    size_t total = 0;
    C10_CUDA_CHECK(cudaMemGetInfo(&free, &total));
    return static_cast<int64_t>(free) + kept;
  }
#endif
  return AvailableMemoryBytes() + kept;
}

void ReleaseKeptMemory([[maybe_unused]] c10::Device device) {
#ifdef CRESCENDO_CUDA
  if (device.is_cuda()) c10::cuda::CUDACachingAllocator::emptyCache();
#endif
  if (device.is_cpu()) ReleaseKeptCpuMemory();
}

PeakMemory::PeakMemory(c10::Device device) : device_(device), before_(UseOf(device).in_use) {
#ifdef CRESCENDO_CUDA
  if (device.is_cuda()) c10::cuda::CUDACachingAllocator::resetPeakStats(device.index());
#endif
  if (device.is_cpu()) ForgetCpuMemoryPeak();
}

int64_t PeakMemory::Rise() const { return std::max<int64_t>(0, UseOf(device_).peak - before_); }

}  // namespace crescendo::device
