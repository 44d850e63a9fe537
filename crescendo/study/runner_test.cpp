#include "crescendo/study/runner.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "crescendo/study/collect.h"
#include "crescendo/study/test_support.h"

namespace crescendo::study {
namespace {

using ::testing::HasSubstr;

// A study in a folder of its own, its trials run by FakeProgram(before).
class RunnerTest : public ::testing::Test {
 protected:
  RunnerResult Run(const std::string& before, const std::string& head = "seeds = 3") {
    study_ = SmallStudy(folder_, head);
    return RunAgain(before);
  }

  RunnerResult RunAgain(const std::string& before, bool retry_failed = false) {
    trials_ = MakeTrials(study_, PlanOfSmall);
    std::ofstream screen(folder_ / "screen.txt");
    const int fd = ::open((folder_ / "screen.txt").c_str(), O_WRONLY | O_TRUNC);
    RunnerOptions options;
    options.program = FakeProgram(folder_, before);
    options.jobs = 2;
    options.cores = 4;
    options.retry_failed = retry_failed;
    options.fd = fd;
    options.gpus = gpus_;
    if (alone_) options = AloneOnTheMachine(options);
    try {
      RunnerResult result = RunStudy(study_, trials_, options, stop_);
      ::close(fd);
      return result;
    } catch (...) {
      ::close(fd);
      throw;
    }
  }

  int64_t Count(const RunnerResult& result, TrialState state) const {
    return std::ranges::count_if(result.runs, [&](const TrialRun& run) { return run.state == state; });
  }
  std::string Screen() const { return ReadFile(folder_ / "screen.txt"); }
  std::string Calls() const { return ReadFile(folder_ / "calls.txt"); }

  support::TemporaryFolder folder_;
  Study study_;
  std::vector<Trial> trials_;
  std::vector<std::string> gpus_;
  bool alone_ = false;
  std::atomic<int> stop_ = 0;
};

TEST_F(RunnerTest, RunsAllOnceAndNeverAgain) {
  const RunnerResult first = Run("");
  EXPECT_EQ(first.started, 6);
  EXPECT_EQ(Count(first, TrialState::kFinished), 6);
  EXPECT_EQ(first.runs[1].accuracy, 0.92);
  EXPECT_THAT(Screen(), HasSubstr("[6/6] "));
  EXPECT_THAT(Calls(), HasSubstr("run.threads=2"));  // 4 cores for 2 jobs
  EXPECT_EQ(RunAgain("exit 1").started, 0);

  // A new seed and a new name do not touch what is there; a changed option does.
  study_ = SmallStudy(folder_, "seeds = 4",
                      "[variants.renamed]\nschedule.policy = \"decay\"\n[variants.grow]\nschedule.max_batch = 20\n");
  const RunnerResult second = RunAgain("");
  EXPECT_EQ(second.started, 1 + 4);
  EXPECT_EQ(Count(second, TrialState::kFinished), 8);
}

TEST_F(RunnerTest, ACrashIsAFailedRunAndNotTheEnd) {
  const RunnerResult result = Run("if [[ $seed = 2 && $out = *grow* ]]; then echo last words; kill -SEGV $$; fi");
  EXPECT_EQ(Count(result, TrialState::kFinished), 5);
  EXPECT_EQ(Count(result, TrialState::kCrashed), 1);
  EXPECT_THAT(result.runs[4].reason, HasSubstr("signal 11 (Segmentation fault); the last it said: last words"));
  EXPECT_THAT(Screen(), HasSubstr("grow, seed 2: crashed: signal 11"));

  // It stays what it is, until it is asked for again.
  const RunnerResult again = RunAgain("");
  EXPECT_EQ(again.started, 0);
  EXPECT_EQ(again.runs[4].state, TrialState::kCrashed);
  EXPECT_EQ(WhatIsLeft(again.runs), "1 run crashed; --retry-failed runs it again");
  const RunnerResult in_vain = RunAgain("footer failed 'the loss is nan'; exit 1", /*retry_failed=*/true);
  EXPECT_EQ(in_vain.started, 1);
  EXPECT_EQ(in_vain.runs[4].state, TrialState::kFailed);
  const RunnerResult retried = RunAgain("", /*retry_failed=*/true);
  EXPECT_EQ(retried.started, 1);
  EXPECT_EQ(Count(retried, TrialState::kFinished), 6);
  EXPECT_EQ(WhatIsLeft(retried.runs), "");

  // Nor are the tries before forgotten.
  const auto results = CollectStudy(study_, trials_, FindRuns(study_, trials_));
  const report::StudyRun& grow = results.variants[1].runs[1];
  EXPECT_EQ(grow.state, report::RunState::kFinished);
  EXPECT_THAT(grow.earlier,
              ::testing::ElementsAre("crashed: signal 11 (Segmentation fault); the last it said: last words",
                                     "failed: the loss is nan"));
  for (const size_t other : {0, 2}) EXPECT_THAT(results.variants[1].runs[other].earlier, ::testing::IsEmpty());
}

// Half of its 4000 examples are in the log, and so perhaps in a checkpoint.
TEST_F(RunnerTest, ACrashedRunIsTriedAgainFromWhereItWas) {
  const std::string update = R"({"type":"update","update":200,"examples":2000,"epoch":2,"phase":0,"global_batch":10,)"
                             R"("learning_rate":0.1,"momentum":0.9,"noise_scale":1,"noise_scale_exact":1,)"
                             R"("reference_noise_scale":1,"loss":1,"images_per_second":1,"train_seconds":1,)"
                             R"("loader_wait_seconds":0})";
  const std::string dies = "if [[ $seed = 2 && $out = *grow* ]]; then printf '%s\\n%s\\n' \"$header\" '" + update +
                           "' > \"$out/run.jsonl\"; kill -KILL $$; fi";
  const RunnerResult first = Run(dies);
  EXPECT_EQ(first.runs[4].state, TrialState::kCrashed);
  EXPECT_EQ(first.runs[4].share_done, 0.5);
  EXPECT_EQ(first.runs[4].reason, "signal 9 (Killed), having said nothing");
  const RunnerResult retried = RunAgain("", /*retry_failed=*/true);
  EXPECT_EQ(retried.started, 1);
  EXPECT_EQ(Count(retried, TrialState::kFinished), 6);
  EXPECT_THAT(Calls(), ::testing::EndsWith("resume " + first.runs[4].folder.string() + " --start-over\n"));
  EXPECT_FALSE(std::filesystem::exists(CrashFile(first.runs[4].folder)));
}

// Begun on another machine: it goes on with what the study, or the command, says now of where and how it is computed,
// also where that is the default; what they leave open stays. Of threads that we gave it there may be too many here.
TEST_F(RunnerTest, ARunGoesOnWhereTheStudySaysNow) {
  const auto stopped_once = [](const std::string& config) {
    return "if [[ $1 = train && $seed = 2 && $out = *grow* ]]; then sed '" + config +
           "' \"$config\" > \"$out/config.toml\"; footer interrupted 'stopped by signal 15'; exit 143; fi";
  };
  const auto goes_on_with = [&](const std::string& config, const std::string& run_options) {
    std::filesystem::remove_all(folder_ / "runs");
    const RunnerResult first = Run(stopped_once(config), "seeds = 3\n[options.run]\n" + run_options);
    EXPECT_EQ(Count(first, TrialState::kWaiting), 1) << config;
    EXPECT_EQ(Count(RunAgain(stopped_once(config)), TrialState::kFinished), 6) << config;
    const std::string calls = Calls();
    const std::string begin = "resume " + first.runs[4].folder.string() + " --start-over";
    const size_t at = calls.rfind(begin);
    EXPECT_NE(at, std::string::npos) << config;
    return calls.substr(at + begin.size());
  };
  EXPECT_EQ(goes_on_with("", ""), "\n");
  // On the two threads of four cores for two jobs.
  EXPECT_EQ(
      goes_on_with(R"(s/^threads = .*/threads = 2/; s/^device = .*/device = "cuda"/; s/^log_every = .*/log_every = 9/)",
                   ""),
      "\n");
  EXPECT_EQ(goes_on_with("s/^threads = .*/threads = 4/", ""), "\n");
  EXPECT_EQ(goes_on_with("s/^threads = .*/threads = 7/", ""), " run.threads=2\n");
  EXPECT_EQ(goes_on_with("s/^threads = .*/threads = 7/", "threads = \"auto\""), " run.threads=2\n");
  EXPECT_EQ(goes_on_with("s/^threads = .*/threads = 7/", "threads = 3"), " run.threads=3\n");
  // Bits hang on the threads; and that a run is reproducible is for resume to refuse.
  EXPECT_EQ(goes_on_with("s/^threads = .*/threads = 7/", "reproducible = true"), "\n");
  EXPECT_EQ(goes_on_with("s/^reproducible = .*/reproducible = false/", "reproducible = true"),
            " run.reproducible=true\n");
  EXPECT_EQ(goes_on_with(R"(s/^device = .*/device = "cuda"/; s/^micro_batch = .*/micro_batch = 640/)",
                         "device = \"cpu\"\nmicro_batch = 32"),
            " run.device=\"cpu\" run.micro_batch=32 run.threads=2\n");
  EXPECT_EQ(goes_on_with(R"(s/^device = .*/device = "cpu"/; s/^threads = .*/threads = 1/)",
                         "device = \"auto\"\nlog_every = 1"),
            " run.device=\"auto\" run.threads=2\n");
}

TEST_F(RunnerTest, ARunThatIsStoppedFromOutsideIsResumed) {
  const std::string stopped_once =
      "if [[ $1 = train && $seed = 2 && $out = *grow* ]]; then footer interrupted 'stopped by signal 15'; exit 143; fi";
  const RunnerResult first = Run(stopped_once);
  EXPECT_EQ(Count(first, TrialState::kFinished), 5);
  EXPECT_EQ(Count(first, TrialState::kWaiting), 1);
  EXPECT_EQ(WhatIsLeft(first.runs), "1 run to go; the same command goes on from here");
  EXPECT_THAT(Screen(), HasSubstr("grow, seed 2: stopped at 100 %"));

  // Where it ends before it has begun to go on, the footer that it finds is not its own.
  for (const char* end : {"kill -SEGV $$", "exit 1"}) {
    const RunnerResult died = RunAgain(std::string("if [[ $1 = resume ]]; then echo why; ") + end + "; fi");
    EXPECT_EQ(died.started, 1);
    EXPECT_EQ(died.runs[4].state, TrialState::kCrashed);
    EXPECT_THAT(died.runs[4].reason, HasSubstr("the last it said: why"));
    EXPECT_EQ(died.mistake, "");
    std::filesystem::remove(CrashFile(died.runs[4].folder));
  }
  // Something that it needs is not there, as its data: it has not failed.
  const RunnerResult missing = RunAgain("if [[ $1 = resume ]]; then echo 'crescendo: no data'; exit 2; fi");
  EXPECT_EQ(Count(missing, TrialState::kFinished), 5);
  EXPECT_EQ(Count(missing, TrialState::kWaiting), 1);
  const std::string folder = missing.runs[4].folder.string();
  EXPECT_EQ(missing.mistake, "grow, seed 2: no data; or move " + folder + " out of " + study_.runs.string() +
                                 ", to have the run begun anew");
  EXPECT_THAT(Screen(), HasSubstr("grow, seed 2: stopped at 100 %, and cannot go on: no data; or move " + folder));
  // All lines of what it says.
  const RunnerResult refused = RunAgain(
      "if [[ $1 = resume ]]; then printf 'crescendo: warning: so what\\ncrescendo: it differs:\\n  a: 1, now 2\\n'; "
      "exit 2; fi");
  EXPECT_EQ(refused.mistake, "grow, seed 2: it differs:\n  a: 1, now 2; or move " + folder + " out of " +
                                 study_.runs.string() + ", to have the run begun anew");
  EXPECT_EQ(WhatIsLeft(refused.runs), "1 run cannot go on");
  const RunnerResult resumed = RunAgain(stopped_once);
  EXPECT_EQ(resumed.started, 1);
  EXPECT_EQ(Count(resumed, TrialState::kFinished), 6);
}

TEST_F(RunnerTest, RunsShareOutTheGpus) {
  gpus_ = {"3", "GPU-8a"};
  // Fails where another run has the same one at this time.
  const RunnerResult result =
      Run("cd \"${0%/*}\"; echo \"$CUDA_VISIBLE_DEVICES\" >> gpus.txt; mkdir \"on-$CUDA_VISIBLE_DEVICES\" || exit 1; "
          "sleep 0.1; rmdir \"on-$CUDA_VISIBLE_DEVICES\"");
  EXPECT_EQ(Count(result, TrialState::kFinished), 6);
  std::istringstream lines(ReadFile(folder_ / "gpus.txt"));
  std::set<std::string> used;
  for (std::string line; std::getline(lines, line);) used.insert(line);
  EXPECT_EQ(used, (std::set<std::string>{"3", "GPU-8a"}));
}

TEST_F(RunnerTest, WhatIsTimedRunsAloneWithTheThreadsThatItHasBesideOthers) {
  alone_ = true;
  // Fails where another run goes on at this time.
  const RunnerResult result = Run("cd \"${0%/*}\"; mkdir alone || exit 1; sleep 0.1; rmdir alone");
  EXPECT_EQ(Count(result, TrialState::kFinished), 6);
  std::istringstream lines(Calls());
  for (std::string line; std::getline(lines, line);) EXPECT_THAT(line, HasSubstr("run.threads=2"));  // 4 cores, 2 jobs
}

TEST_F(RunnerTest, ADivergedRunStaysInTheStatistics) {
  const RunnerResult result =
      Run("if [[ $seed = 1 && $out = *grow* ]]; then footer failed 'the loss is nan'; exit 1; fi");
  EXPECT_EQ(Count(result, TrialState::kFailed), 1);
  EXPECT_EQ(RunAgain("").started, 0);

  const report::StudyResults collected = CollectStudy(study_, trials_, FindRuns(study_, trials_));
  EXPECT_EQ(collected.variants[1].runs[0].state, report::RunState::kFailed);
  EXPECT_EQ(collected.variants[1].runs[0].reason, "the loss is nan");
  const report::StudySummary summary = report::Summarize(collected);
  EXPECT_EQ(summary.variants[1].analysis.failed, 1);
  EXPECT_EQ(summary.variants[1].analysis.summary->n, 2);
}

TEST_F(RunnerTest, WhatCannotWorkInOneRunEndsTheStudyWithItsMessage) {
  const RunnerResult result = Run("echo 'crescendo: no such data set' >&2; exit 2");
  EXPECT_THAT(result.mistake, ::testing::MatchesRegex("(decay|grow), seed [1-3]: no such data set"));
  EXPECT_EQ(Count(result, TrialState::kWaiting), 6);
  const std::string calls = Calls();
  EXPECT_LE(std::ranges::count(calls, '\n'), 2);
  EXPECT_EQ(Count(RunAgain(""), TrialState::kFinished), 6);  // nothing was recorded as failed
}

TEST_F(RunnerTest, AStoppedStudyGoesOnWhereItWas) {
  // The first two runs wait for the signal and write what a stopped run does; the study is stopped when both are there.
  const std::string waiting =
      "trap 'footer interrupted stopped; exit 143' TERM\ntouch \"$out/waits\"\nfor ((i = 0; i < 600; ++i)); do sleep "
      "0.1; done";
  std::jthread stopper([&] {
    for (int waits = 0; waits < 2;) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      waits = 0;
      std::error_code none_yet;
      for (const auto& entry : std::filesystem::directory_iterator(folder_ / "runs", none_yet)) {
        waits += std::filesystem::exists(entry.path() / "waits") ? 1 : 0;
      }
    }
    stop_ = SIGINT;
  });
  const RunnerResult stopped = Run(waiting);
  EXPECT_EQ(stopped.started, 2);
  EXPECT_EQ(Count(stopped, TrialState::kWaiting), 6);
  stop_ = 0;
  EXPECT_EQ(RunAgain("").started, 6);
  const std::string calls = Calls();
  const auto resumed = [](const std::string& line) { return line.starts_with("resume"); };
  std::vector<std::string> lines;
  std::istringstream in(calls);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  EXPECT_EQ(std::ranges::count_if(lines, resumed), 2);  // the two that had begun
}

TEST_F(RunnerTest, TwoDoNotWorkOnOneStudy) {
  std::filesystem::create_directories(folder_ / "runs");
  const int other = ::open((folder_ / "runs" / ".lock").c_str(), O_RDWR | O_CREAT, 0644);
  ASSERT_EQ(::flock(other, LOCK_EX), 0);
  EXPECT_THROW(Run(""), UserError);
  ::close(other);
  EXPECT_EQ(RunAgain("").started, 6);
}

TEST_F(RunnerTest, AReportOfWhatIsNoRunSaysWhatWouldBe) {
  Run("");
  const auto complaint = [&](const std::string& name) {
    try {
      CollectRuns({folder_ / name});
    } catch (const UserError& error) {
      return std::string(error.what()).substr(folder_.path().string().size() + 1);
    }
    return std::string();
  };
  EXPECT_THAT(complaint("runs"), ::testing::MatchesRegex("runs holds runs and is none; give their folders, such as "
                                                         ".*/runs/(decay|grow)-[1-3]-.*, or the study that made them"));
  EXPECT_EQ(complaint("base.toml"),
            "base.toml is a config; a report takes the folders of runs, or one study (a file with [variants]) alone");
  std::filesystem::create_directory(folder_ / "empty");
  EXPECT_EQ(complaint("empty"), "empty is no folder of a run: it has no run.jsonl");
  EXPECT_THROW(CollectRuns({folder_ / "missing"}), UserError);
}

TEST_F(RunnerTest, StudiesThatShareAFolderShareTheirRuns) {
  Run("");
  study_ = SmallStudy(folder_, "seeds = 3",
                      "[variants.original]\nschedule.policy = \"decay\"\n[variants.capped]\nschedule.max_batch = 15\n");
  EXPECT_EQ(RunAgain("").started, 3);
}

}  // namespace
}  // namespace crescendo::study
