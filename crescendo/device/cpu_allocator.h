// LibTorch's memory for tensors on the CPU, kept between the steps (block_cache.h says why).
#pragma once

#include "crescendo/device/block_cache.h"

namespace crescendo::device {

// From now on tensors on the CPU are made in kept memory: up to three quarters of what this process may use. Existing
// tensors stay where they are. Call it while no other thread makes tensors; further calls do nothing. It cannot be
// taken back: tensors may live as long as the process.
void InstallCachingCpuAllocator();

bool KeepsCpuMemory();  // whether it was installed

// Zeros before the installation.
CacheStatistics CpuMemoryStatistics();

// BlockCache::ForgetPeak.
void ForgetCpuMemoryPeak();

// Gives the system what is kept and not in use.
void ReleaseKeptCpuMemory();

}  // namespace crescendo::device
