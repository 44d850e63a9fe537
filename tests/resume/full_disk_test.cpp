// Where a checkpoint cannot be written: the run says so, the checkpoints there are stay, and nothing is lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crescendo/train/checkpoint.h"
#include "crescendo/train/run_folder.h"
#include "tests/resume/run_files.h"
#include "tests/support/process.h"
#include "tests/support/temporary_folder.h"

namespace crescendo {
namespace {

namespace fs = std::filesystem;
using support::ProcessResult;
using support::RunProcess;
using support::TemporaryFolder;
using ::testing::HasSubstr;
using train::RunFolder;

class FullDisk : public ::testing::Test {
 protected:
  // $1 is the program, $2 the config, $3 a folder.
  ProcessResult Shell(const std::string& script, const std::vector<std::string>& before = {}) const {
    std::vector<std::string> words = before;
    for (const std::string& word : {std::string("bash"), std::string("-c"), "set -e; " + script, std::string("bash"),
                                    std::string(CRESCENDO_PROGRAM), config_, folder_.path().string()}) {
      words.push_back(word);
    }
    return RunProcess(words);
  }
  bool MayMount() const {
    return Shell("mount -t tmpfs none \"$3\"", {"unshare", "--user", "--map-root-user", "--mount"}).exit_code == 0;
  }

  TemporaryFolder folder_;
  std::string config_ = folder_.Write("config.toml", support::CheckpointedConfig());
};

// Files may hold 400 KB: logs and weights (310 KB) fit, checkpoints (630 KB) do not.
TEST_F(FullDisk, CheckpointThatDoesNotFitIsAWarningAndTheRunGoesOn) {
  const ProcessResult result =
      Shell("trap '' XFSZ; ulimit -f 400; exec \"$1\" train \"$2\" --out \"$3/run\" checkpoint.every=200sp");
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.errors, HasSubstr("a checkpoint could not be written, the one before is kept: cannot write"));
  EXPECT_THAT(result.errors, HasSubstr("File too large"));
  EXPECT_TRUE(fs::exists(RunFolder(folder_ / "run").weights()));
  EXPECT_TRUE(fs::is_empty(RunFolder(folder_ / "run").checkpoints()));
}

TEST_F(FullDisk, LastCheckpointAndTheStartOfABranchThatDoNotFitAreWarnings) {
  const std::string limited = "trap '' XFSZ; ulimit -f 400; exec \"$1\" ";
  const ProcessResult last = Shell(limited + "train \"$2\" --out \"$3/run\" checkpoint.every=none");
  EXPECT_EQ(last.exit_code, 0) << last.errors;
  EXPECT_THAT(last.errors, HasSubstr("the checkpoint at example 660 could not be kept: cannot write"));
  EXPECT_TRUE(fs::exists(RunFolder(folder_ / "run").weights()));

  ASSERT_EQ(RunProcess({CRESCENDO_PROGRAM, "train", config_, "--out", (folder_ / "whole").string()}).exit_code, 0);
  const ProcessResult branch =
      Shell(limited + "resume \"$3/whole\" --branch \"$3/branch\" --at 1ep checkpoint.every=none");
  EXPECT_EQ(branch.exit_code, 0) << branch.errors;
  EXPECT_THAT(branch.errors, HasSubstr("the checkpoint at example 200 could not be kept: cannot write"));
  EXPECT_TRUE(fs::exists(RunFolder(folder_ / "branch").weights()));
}

// The first checkpoints are written, then the limit falls.
TEST_F(FullDisk, ResumedRunKeepsTheCheckpointItCameFrom) {
  ASSERT_EQ(RunProcess({CRESCENDO_PROGRAM, "train", config_, "--out", (folder_ / "whole").string()}).exit_code, 0);
  support::CopyAsKilledAfter(folder_ / "whole", folder_ / "run", 30);
  const ProcessResult failed =
      Shell("trap '' XFSZ; ulimit -f 200; exec \"$1\" resume \"$3/run\"");  // nor do the weights
  EXPECT_EQ(failed.exit_code, 1);
  EXPECT_THAT(failed.errors, HasSubstr("weights.safetensors: File too large"));
  const auto newest = train::ListCheckpoints(RunFolder(folder_ / "run").checkpoints()).front();
  EXPECT_EQ(train::ReadCheckpointState(newest).position.updates, schedule::Updates{30});

  const ProcessResult resumed = RunProcess({CRESCENDO_PROGRAM, "resume", (folder_ / "run").string()});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.errors;
  support::ExpectSameRun(folder_ / "run", folder_ / "whole");
}

// A disk of 1.5 MB holds two checkpoints. The run goes on, on a larger disk, from what was kept.
TEST_F(FullDisk, FullTmpfsLosesNothing) {
  if (!MayMount()) GTEST_SKIP() << "this user may not mount a tmpfs in a namespace of its own";
  ASSERT_EQ(RunProcess({CRESCENDO_PROGRAM, "train", config_, "--out", (folder_ / "whole").string()}).exit_code, 0);
  const ProcessResult full = Shell(
      "mkdir \"$3/disk\" \"$3/run\"; mount -t tmpfs -o size=1500k none \"$3/disk\"; "
      "if \"$1\" train \"$2\" --out \"$3/disk/run\"; then echo fitted; fi; cp -r \"$3/disk/run/.\" \"$3/run\"",
      {"unshare", "--user", "--map-root-user", "--mount"});
  ASSERT_EQ(full.exit_code, 0) << full.errors;
  EXPECT_EQ(full.output.find("fitted"), std::string::npos);
  EXPECT_THAT(full.errors, HasSubstr("No space left on device"));
  EXPECT_GE(train::ListCheckpoints(RunFolder(folder_ / "run").checkpoints()).size(), 1);
  const ProcessResult resumed = RunProcess({CRESCENDO_PROGRAM, "resume", (folder_ / "run").string()});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.errors;
  support::ExpectSameRun(folder_ / "run", folder_ / "whole");
}

TEST_F(FullDisk, ReadOnlyFolderIsAClearErrorAndStaysAsItWas) {
  if (!MayMount()) GTEST_SKIP() << "this user may not mount a tmpfs in a namespace of its own";
  ASSERT_EQ(RunProcess({CRESCENDO_PROGRAM, "train", config_, "--out", (folder_ / "whole").string()}).exit_code, 0);
  support::CopyAsKilledAfter(folder_ / "whole", folder_ / "run", 30);
  const ProcessResult result =
      Shell("mount --bind \"$3/run\" \"$3/run\"; mount -o remount,bind,ro \"$3/run\"; exec \"$1\" resume \"$3/run\"",
            {"unshare", "--user", "--map-root-user", "--mount"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.errors,
              HasSubstr("no file can be made in " + (folder_ / "run").string() + ": Read-only file system"));
  support::ResumeHere(folder_ / "run");
  support::ExpectSameRun(folder_ / "run", folder_ / "whole");
}

}  // namespace
}  // namespace crescendo
