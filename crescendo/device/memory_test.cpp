#include "crescendo/device/memory.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include "crescendo/device/cpu_allocator.h"
#include "tests/support/test_device.h"

namespace crescendo::device {
namespace {

using support::TestDevice;

constexpr int64_t kMebibyte = int64_t{1} << 20;

at::Tensor Mebibytes(int64_t count) {
  return at::ones({count * kMebibyte / 4}, at::TensorOptions(at::kFloat).device(TestDevice()));
}

// Within an eighth, to which sizes are rounded up.
void ExpectAbout(int64_t bytes, int64_t mebibytes) {
  EXPECT_GE(bytes, mebibytes * kMebibyte);
  EXPECT_LE(bytes, mebibytes * kMebibyte / 8 * 9 + kMebibyte);
}

TEST(Memory, PeakIsTheMostInUseAtOneTimeSinceItWasMade) {
  InstallCachingCpuAllocator();
  { const at::Tensor earlier = Mebibytes(200); }
  const at::Tensor stays = Mebibytes(40);
  const PeakMemory peak(TestDevice());
  EXPECT_EQ(peak.Rise(), 0);
  const at::Tensor first = Mebibytes(20);
  ExpectAbout(peak.Rise(), 20);
  { const at::Tensor second = Mebibytes(30); }
  ExpectAbout(peak.Rise(), 50);
  const at::Tensor third = Mebibytes(10);
  ExpectAbout(peak.Rise(), 50);
  EXPECT_EQ(PeakMemory(TestDevice()).Rise(), 0);
}

TEST(Memory, WhatIsKeptGoesBackToTheSystem) {
  InstallCachingCpuAllocator();
  EXPECT_GT(FreeMemoryBytes(TestDevice()), 0);
  { const at::Tensor block = Mebibytes(64); }
  if (TestDevice().is_cpu()) {
    EXPECT_GE(CpuMemoryStatistics().kept, 64 * kMebibyte);
    ReleaseKeptMemory(TestDevice());
    EXPECT_EQ(CpuMemoryStatistics().kept, 0);
  } else {
    const int64_t kept = FreeMemoryBytes(TestDevice());
    ReleaseKeptMemory(TestDevice());
    EXPECT_GE(FreeMemoryBytes(TestDevice()), kept) << "free is free, kept or not";
  }
}

}  // namespace
}  // namespace crescendo::device
