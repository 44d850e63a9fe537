// The real program, killed with SIGKILL at random moments and resumed until it has finished, ends as the one that was
// left alone. CRESCENDO_KILLS sets how often (20; `make soak`: 200), CRESCENDO_SEED the moments.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "crescendo/base/file.h"
#include "crescendo/train/checkpoint.h"
#include "crescendo/train/run_folder.h"
#include "tests/resume/run_files.h"
#include "tests/support/process.h"
#include "tests/support/temporary_folder.h"

namespace crescendo {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;
using support::ProcessResult;
using support::RunProcess;
using support::TemporaryFolder;
using ::testing::HasSubstr;
using train::RunFolder;

int64_t FromEnvironment(const char* name, int64_t otherwise) {
  const char* given = std::getenv(name);
  return given == nullptr ? otherwise : std::atoll(given);
}

bool HasPartOf(const fs::path& folder, const std::string& ending) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().filename().string().ends_with(ending)) return true;
  }
  return false;
}

// How many phases the lines of progress name: a line is written at each change.
size_t PhasesShown(const std::string& errors) {
  std::set<std::string> phases;
  for (size_t at = errors.find("phase "); at != std::string::npos; at = errors.find("phase ", at + 1)) {
    phases.insert(errors.substr(at, std::string("phase 1/3").size()));
  }
  return phases.size();
}

class Kill : public ::testing::Test {
 protected:
  std::vector<std::string> TrainCommand(const std::string& out) const {
    return {CRESCENDO_PROGRAM,
            "train",
            config_,
            "--out",
            (folder_ / out).string(),
            "run.micro_batch=4",
            "checkpoint.every=40sp",
            "checkpoint.keep_last=2",
            "schedule.length=10ep",
            R"(reference.boundaries=["3ep", "6ep"])"};
  }
  std::vector<std::string> ResumeCommand() const {
    return {CRESCENDO_PROGRAM, "resume", (folder_ / "killed").string(), "--start-over"};
  }

  TemporaryFolder folder_;
  // 138 updates in three phases; micro-batches of one ghost: 2 to 8 in an update.
  std::string config_ = folder_.Write("config.toml", support::CheckpointedConfig());
};

TEST_F(Kill, AtAnyMomentLosesNothing) {
  ASSERT_EQ(RunProcess(TrainCommand("whole")).exit_code, 0);

  const int64_t kills = FromEnvironment("CRESCENDO_KILLS", 20);
  const auto seed = static_cast<uint32_t>(FromEnvironment("CRESCENDO_SEED", 1));
  std::mt19937 random(seed);
  const RunFolder run(folder_ / "killed");
  std::map<std::string, int> moments;
  int64_t done = 0;
  int64_t finished = 0;
  bool fresh = true;
  ProcessResult last;
  for (int64_t launches = 0; done < kills || last.exit_code != 0; ++launches) {
    ASSERT_LT(launches, 10 * kills + 10) << last.errors;
    // Once training, after a random while, which is nearly always between two micro-batches of an update; while a file
    // of a checkpoint is being written; at a change of phase.
    const auto while_training = std::chrono::microseconds(random() % 60'000);
    std::string moment = "training";
    std::function<bool(const std::string&)> now;
    std::optional<steady_clock::time_point> begun;
    const char* begins = fresh ? "training" : "resumed";
    const auto passed = [&begun, begins](const std::string& errors, std::chrono::microseconds wait) {
      if (!begun && errors.find(begins) != std::string::npos) begun = steady_clock::now();
      return begun && steady_clock::now() - *begun >= wait;
    };
    const uint32_t kind = random() % 4;
    if (kind == 0) {
      moment = "writing tensors";
      now = [&](const std::string& errors) {
        return passed(errors, while_training) && HasPartOf(run.checkpoints(), ".safetensors.part");
      };
    } else if (kind == 1) {
      moment = "between tensors and JSON";
      now = [&](const std::string& errors) {
        return passed(errors, while_training) && HasPartOf(run.checkpoints(), ".json.part");
      };
    } else if (kind == 2) {
      moment = "phase change";
      now = [&](const std::string& errors) { return PhasesShown(errors) > 1; };
    } else {
      now = [&](const std::string& errors) { return passed(errors, while_training); };
    }
    if (done >= kills) now = nullptr;
    last = RunProcess(fresh ? TrainCommand("killed") : ResumeCommand(), {.kill_when = now});
    fresh = false;
    if (last.exit_code == 128 + SIGKILL) {
      ++done;
      ++moments[moment];
      continue;
    }
    ASSERT_EQ(last.exit_code, 0) << last.errors;  // it was faster
    support::ExpectSameRun(folder_ / "killed", folder_ / "whole");
    ++finished;
    if (done < kills) {
      fs::remove_all(folder_ / "killed");
      fresh = true;
    }
  }
  support::ExpectSameRun(folder_ / "killed", folder_ / "whole");
  if (kills >= 20) {
    EXPECT_EQ(moments.size(), 4);  // each kind of moment was met
  }
  std::cout << "seed " << seed << ", " << finished << " runs finished, killed";
  for (const auto& [moment, count] : moments) std::cout << "; " << moment << ": " << count;
  std::cout << "\n";
}

TEST_F(Kill, OfSigtermKeepsTheStateAndSaysHowToGoOn) {
  ASSERT_EQ(RunProcess(TrainCommand("whole")).exit_code, 0);
  const ProcessResult stopped =
      RunProcess(TrainCommand("killed"), {.signals = {{.number = SIGTERM, .after_text = "update 1/138"}}});
  ASSERT_EQ(stopped.exit_code, 128 + SIGTERM) << stopped.errors;
  EXPECT_THAT(stopped.errors, HasSubstr("to go on: crescendo resume " + (folder_ / "killed").string()));
  const ProcessResult resumed = RunProcess({CRESCENDO_PROGRAM, "resume", (folder_ / "killed").string()});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.errors;
  support::ExpectSameRun(folder_ / "killed", folder_ / "whole");
  const ProcessResult again = RunProcess({CRESCENDO_PROGRAM, "resume", (folder_ / "killed").string()});
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_THAT(again.output, HasSubstr("has finished"));
  EXPECT_EQ(again.errors, "");
  const ProcessResult longer =
      RunProcess({CRESCENDO_PROGRAM, "resume", (folder_ / "killed").string(), "schedule.length=9ep"});
  EXPECT_EQ(longer.exit_code, 0);
  EXPECT_THAT(longer.errors, HasSubstr("schedule.length=9ep changes nothing: the run has finished"));
}

// Two epochs are 400 examples. The branch's own checkpoints would come at its end only.
TEST_F(Kill, OfABranchLeavesItsStart) {
  std::vector<std::string> train = TrainCommand("parent");
  train.emplace_back("checkpoint.keep_last=0");
  ASSERT_EQ(RunProcess(train).exit_code, 0);
  const std::string parent = (folder_ / "parent").string();
  const auto branch = [&](const std::string& name, std::function<bool(const std::string&)> kill_when) {
    return RunProcess({CRESCENDO_PROGRAM, "resume", parent, "--branch", (folder_ / name).string(), "--at", "2ep",
                       "schedule.policy=decay", "checkpoint.every=none"},
                      {.kill_when = std::move(kill_when)});
  };
  const ProcessResult whole = branch("whole", nullptr);
  ASSERT_EQ(whole.exit_code, 0) << whole.errors;

  const RunFolder killed(folder_ / "killed");
  const auto has_checkpoint = [&](const std::string&) { return !train::ListCheckpoints(killed.checkpoints()).empty(); };
  ASSERT_EQ(branch("killed", has_checkpoint).exit_code, 128 + SIGKILL);
  const std::vector<fs::path> checkpoints = train::ListCheckpoints(killed.checkpoints());
  ASSERT_EQ(checkpoints.size(), 1);
  EXPECT_EQ(train::PositionOf(checkpoints[0]), schedule::Examples{400});
  const ProcessResult resumed = RunProcess(ResumeCommand());
  ASSERT_EQ(resumed.exit_code, 0) << resumed.errors;
  support::ExpectSameRun(killed.path(), folder_ / "whole");

  support::CopyAsKilledAfter(folder_ / "whole", killed.path(), 0);
  ASSERT_TRUE(train::ListCheckpoints(killed.checkpoints()).empty());
  const std::string log = ReadFile(killed.log());
  const ProcessResult refused = RunProcess(ResumeCommand());
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_EQ(refused.errors, "crescendo: " + killed.path().string() +
                                " holds no checkpoint to go on from, and to begin it again from nothing would make "
                                "another run of it: it is a branch of " +
                                parent + ", from example 400; `crescendo resume " + parent +
                                " --branch NEWDIR --at 400sp`, with the options it was given, begins it again\n");
  EXPECT_EQ(ReadFile(killed.log()), log);
}

TEST_F(Kill, WithoutACheckpointTheUserIsAsked) {
  ASSERT_EQ(RunProcess(TrainCommand("killed")).exit_code, 0);
  support::CopyAsKilledAfter(folder_ / "killed", folder_ / "bare", 0);
  const std::string bare = (folder_ / "bare").string();
  const ProcessResult refused = RunProcess({CRESCENDO_PROGRAM, "resume", bare});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.errors, HasSubstr("holds no checkpoint to go on from; --start-over begins the run again"));
  const ProcessResult again = RunProcess({CRESCENDO_PROGRAM, "resume", bare, "--start-over"});
  EXPECT_EQ(again.exit_code, 0) << again.errors;
  support::ExpectSameRun(folder_ / "bare", folder_ / "killed");
}

}  // namespace
}  // namespace crescendo
