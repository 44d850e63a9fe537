// Who profiles a run does not change it.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "crescendo/profile/recorder.h"
#include "crescendo/profile/trace.h"
#include "tests/equivalence/small_run.h"
#include "tests/support/test_device.h"

namespace crescendo {
namespace {

using profile::Recorder;
using support::LargestDifference;
using support::RunResult;
using support::RunSmall;

TEST(ProfileOfARun, LeavesEveryBitAsItIs) {
  at::set_num_threads(1);
  for (const std::vector<std::string>& overrides :
       {std::vector<std::string>{}, std::vector<std::string>{"run.precision=bf16"}}) {
    const RunResult plain = RunSmall(overrides);
    for (const Recorder::Watch watch : {Recorder::Watch::kPartsOnly, Recorder::Watch::kPartsAndLayers}) {
      Recorder recorder(support::TestDevice(), watch);
      recorder.Boundary();
      const RunResult watched = RunSmall(overrides);
      recorder.Boundary();
      EXPECT_EQ(LargestDifference(plain, watched), 0);
      EXPECT_GT(recorder.Finish().part_seconds[profile::kBackward], 0);  // it did watch
    }
    profile::BeginTrace(support::TestDevice());
    const RunResult traced = RunSmall(overrides);
    EXPECT_NE(profile::EndTrace().find("\"backward\""), std::string::npos);
    EXPECT_EQ(LargestDifference(plain, traced), 0);
  }
}

}  // namespace
}  // namespace crescendo
