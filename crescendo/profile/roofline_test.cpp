#include "crescendo/profile/roofline.h"

#include <gtest/gtest.h>

#include "crescendo/device/device.h"
#include "tests/support/test_device.h"

namespace crescendo::profile {
namespace {

// No speed is asked for; but between 1 MFLOP/s and 10 PFLOP/s, 1 MB/s and 100 TB/s lies every machine that runs this,
// and no error in a unit.
TEST(Roofline, IsOfThisWorld) {
  device::SetThreads(1);
  for (const config::Precision precision : {config::Precision::kFp32, config::Precision::kBf16}) {
    const report::Roofline roofline = MeasureRoofline(support::TestDevice(), precision);
    EXPECT_GT(roofline.flops_per_second, 1e6);
    EXPECT_LT(roofline.flops_per_second, 1e16);
    EXPECT_GT(roofline.bytes_per_second, 1e6);
    EXPECT_LT(roofline.bytes_per_second, 1e14);
  }
}

}  // namespace
}  // namespace crescendo::profile
