// A new run from the state of another.
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "crescendo/base/error.h"
#include "crescendo/report/run_log.h"
#include "crescendo/train/digest.h"
#include "crescendo/train/session.h"
#include "tests/equivalence/small_run.h"
#include "tests/resume/run_files.h"
#include "tests/support/temporary_folder.h"

namespace crescendo {
namespace {

namespace fs = std::filesystem;
using support::Memory;
using support::TemporaryFolder;
using ::testing::HasSubstr;
using train::RunFolder;

class Branch : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    at::set_num_threads(1);
    the_parent = std::make_unique<TemporaryFolder>();
    support::TrainHere(*the_parent / "run");
  }
  static void TearDownTestSuite() { the_parent.reset(); }

  static fs::path parent() { return *the_parent / "run"; }

  Memory BranchAt(const char* position, const std::vector<std::string>& overrides, int stop_signal = 0) {
    warnings_.clear();
    const auto warn = [this](const std::string& sentence) { warnings_ += sentence; };
    const auto next =
        train::PrepareBranch(RunFolder(parent()), overrides, config::ParsePosition(position).value(), warn);
    const std::atomic<int> stop = stop_signal;
    Memory memory;
    fs::remove_all(branch());
    train::BranchInto(branch(), next, {&memory}, stop);
    return memory;
  }
  fs::path branch() const { return folder_ / "branch"; }

  static std::unique_ptr<TemporaryFolder> the_parent;
  TemporaryFolder folder_;
  std::string warnings_;
};

std::unique_ptr<TemporaryFolder> Branch::the_parent;

TEST_F(Branch, WithTheSameOptionsEndsAsTheRunItCameFrom) {
  BranchAt("1.5ep", {});
  EXPECT_EQ(train::DigestRun(branch()).all, train::DigestRun(parent()).all);
  const report::RunSummary log = report::ReadRunLog(RunFolder(branch()).log());
  EXPECT_EQ(log.header.begin_examples, schedule::Examples{296});  // the last checkpoint at 300 or before
  EXPECT_THAT(log.header.branched_from, HasSubstr("example 296, update 31"));
}

// Example 232 is inside the new plan's 4th batch of 48 of epoch 2: 8 examples of it are left.
TEST_F(Branch, GoesOverToAnotherScheduleAndSeesEveryExampleOnce) {
  const Memory memory = BranchAt("232sp", {"reference.global_batch=48", "reference.boundaries=[\"2ep\"]"});
  ASSERT_FALSE(memory.updates.empty());
  const schedule::Setting& first = memory.updates.front().setting;
  EXPECT_EQ(first.begin, schedule::Examples{232});
  EXPECT_EQ(first.global_batch, schedule::Examples{8});
  schedule::Examples position = first.begin;
  for (const report::UpdateRecord& record : memory.updates) {
    EXPECT_EQ(record.setting.begin, position);
    EXPECT_DOUBLE_EQ(record.setting.noise_scale, record.setting.reference_noise_scale);
    position = record.setting.end;
  }
  EXPECT_EQ(position, schedule::Examples{660});
}

TEST_F(Branch, CanBeResumedItself) {
  BranchAt("1ep", {"schedule.policy=decay"});
  support::CopyAsKilledAfter(branch(), folder_ / "resumed", 60);
  support::ResumeHere(folder_ / "resumed");
  support::ExpectSameRun(folder_ / "resumed", branch());
}

TEST_F(Branch, StoppedBeforeItsFirstUpdateCanBeResumed) {
  const std::vector<std::string> overrides = {"reference.global_batch=48", "reference.boundaries=[\"2ep\"]"};
  BranchAt("232sp", overrides);
  fs::rename(branch(), folder_ / "whole");
  EXPECT_EQ(BranchAt("232sp", overrides, SIGTERM).updates.size(), 0);
  support::ResumeHere(branch());
  support::ExpectSameRun(branch(), folder_ / "whole");
}

TEST_F(Branch, MayTrainLongerThanAFinishedRun) {
  const Memory memory = BranchAt("4ep", {"schedule.length=4ep"});
  EXPECT_EQ(memory.updates.front().setting.begin, schedule::Examples{660});
  EXPECT_EQ(memory.footers.at(0).examples, schedule::Examples{800});
}

TEST_F(Branch, WithAnotherOptimizerBeginsItsStateAnew) {
  const Memory memory = BranchAt("1ep", {"optimizer.name=adam", "reference.learning_rate=0.001"});
  EXPECT_THAT(warnings_, HasSubstr("the state of momentum means nothing to adam"));
  EXPECT_EQ(memory.footers.at(0).end, report::RunEnd::kFinished);
}

TEST_F(Branch, ThatCannotBeSaysWhy) {
  const auto message = [&](const char* position, const std::vector<std::string>& overrides) {
    try {
      BranchAt(position, overrides);
    } catch (const UserError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(message("1ep", {"model.width=2"}), HasSubstr("tensor \"model."));
  EXPECT_THAT(message("3ep", {"schedule.length=2.5ep"}), HasSubstr("where the new schedule has ended"));
  EXPECT_THAT(message("7sp", {}), HasSubstr("no checkpoint to branch from at example 7 or before; there are some at"));
}

}  // namespace
}  // namespace crescendo
