#include "crescendo/study/runs.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include "crescendo/base/file.h"
#include "crescendo/report/run_log.h"
#include "crescendo/study/collect.h"
#include "crescendo/study/test_support.h"

namespace crescendo::study {
namespace {

TEST(RunList, SaysHowEveryRunStands) {
  const support::TemporaryFolder folder;
  const Study study = SmallStudy(folder, "seeds = 3");
  const std::vector<Trial> trials = MakeTrials(study, PlanOfSmall);
  const std::vector<TrialRun> before = FindRuns(study, trials);
  const auto write = [&](size_t trial, const std::string& file, const std::string& text) {
    PrepareFolder(before[trial].folder, trials[trial]);
    folder.Write(before[trial].folder.lexically_relative(folder.path()).string() + "/" + file, text);
  };
  const std::string update = "{\"type\":\"update\",\"examples\":400}\n";
  const auto footer = [](const std::string& end) {
    return "{\"type\":\"footer\",\"end\":\"" + end + "\",\"examples\":400}\n";
  };
  write(0, "run.jsonl", update + footer("finished"));
  write(1, "run.jsonl", update + footer("failed"));
  write(2, "run.jsonl", update + footer("interrupted"));
  write(3, "run.jsonl", update);
  write(4, "crash.txt", "signal 9\n");

  const auto expect = [&](size_t trial, const std::string& state) {
    EXPECT_THAT(RunList(study, trials, FindRuns(study, trials)),
                ::testing::ContainsRegex(before[trial].folder.string() + " +" + state + "\n"));
  };
  const std::vector<std::string> states = {"done", "failed", "stopped", "stopped", "crashed", "not begun"};
  for (size_t trial = 0; trial < states.size(); ++trial) expect(trial, states[trial]);

  const int descriptor = ::open(before[3].folder.c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(::flock(descriptor, LOCK_EX | LOCK_NB), 0);
  expect(3, "running");
  ::close(descriptor);
}

TEST(CollectRuns, WarnOfALogWithoutAnEndWhereNobodyTrains) {
  const support::TemporaryFolder folder;
  folder.Write("run/notes.txt", "");
  report::RunHeader header;
  header.train_examples = 1000;
  header.total_examples = 4000;
  header.total_updates = 400;
  header.config_toml = kBase;
  report::RunLog(folder / "run/run.jsonl").Header(header);
  const auto warning = [&] { return CollectRuns({folder / "run"}).variants.front().runs.front().log->summary.warning; };
  EXPECT_THAT(warning(), ::testing::HasSubstr("has no footer"));
  const int descriptor = ::open((folder / "run").c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(::flock(descriptor, LOCK_EX | LOCK_NB), 0);
  EXPECT_EQ(warning(), "");
  ::close(descriptor);
}

TEST(RunList, HasALineOfNames) {
  const support::TemporaryFolder folder;
  const Study study = SmallStudy(folder, "seeds = 1");
  const std::vector<Trial> trials = MakeTrials(study, PlanOfSmall);
  const std::string list = RunList(study, trials, FindRuns(study, trials));
  EXPECT_THAT(list, ::testing::MatchesRegex("digest +variant +seed +updates +folder +state\n"
                                            "[0-9a-f]+ +decay +1 +400 +[^ ]+/decay-1-[0-9a-f]+ +not begun\n"
                                            "[0-9a-f]+ +grow +1 +300 +[^ ]+/grow-1-[0-9a-f]+ +not begun\n"));
}

TEST(RunsOfOtherSettings, AreOfOtherContentWhereATableHasChanged) {
  const support::TemporaryFolder folder;
  const std::string table = folder.Write("table.csv", "1,2,a\n");
  Study study = SmallStudy(folder, "seeds = 2");
  for (Variant& variant : study.variants) {
    variant.options.data.name = config::DatasetName::kCsv;
    variant.options.data.train_file = table;
    variant.options.data.test_examples = 1;
    variant.options.model.name = config::ModelName::kMlp;
  }
  const auto told = [&] {
    const std::vector<Trial> trials = MakeTrials(study, PlanOfSmall);
    return RunsOfOtherSettings(study, trials, FindRuns(study, trials));
  };
  const std::vector<Trial> trials = MakeTrials(study, PlanOfSmall);
  const std::vector<TrialRun> runs = FindRuns(study, trials);
  for (size_t i = 0; i < trials.size(); ++i) PrepareFolder(runs[i].folder, trials[i]);
  EXPECT_EQ(told(), "");

  folder.Write("table.csv", "1,2,b\n");
  const std::string expected =
      " runs of these settings, made when the content of " + table + " was other than it is now";
  EXPECT_EQ(told(), study.runs.string() + " holds 4" + expected);
  study.seeds = {1};
  EXPECT_EQ(told(), study.runs.string() + " holds 2" + expected) << "those of seed 2 differ by it besides";

  // What another version wrote, with other options, tells nothing of the table.
  for (const TrialRun& run : runs) {
    const std::string name = TrialFile(run.folder).lexically_relative(folder.path()).string();
    folder.Write(name, ReadFile(TrialFile(run.folder)) + "\n");
  }
  EXPECT_EQ(told(), study.runs.string() + " holds 4 runs of other settings (run.seed)");
}

TEST(RunsOfOtherSettings, AreToldWhereAStudyFindsNoneOfItsOwn) {
  const support::TemporaryFolder folder;
  const Study study = SmallStudy(folder, "seeds = 2");
  const auto told = [&](const Study& of) {
    const std::vector<Trial> trials = MakeTrials(of, PlanOfSmall);
    const std::string text = RunsOfOtherSettings(of, trials, FindRuns(of, trials));
    return text.empty() ? text : text.substr(folder.path().string().size() + 1);
  };
  const auto make = [](const Study& of) {
    const std::vector<Trial> trials = MakeTrials(of, PlanOfSmall);
    const std::vector<TrialRun> runs = FindRuns(of, trials);
    for (size_t i = 0; i < trials.size(); ++i) PrepareFolder(runs[i].folder, trials[i]);
  };
  EXPECT_EQ(told(study), "");  // the folder is empty

  Study changed = study;
  for (Variant& variant : changed.variants) variant.options.run.precision = config::Precision::kBf16;
  make(changed);
  EXPECT_EQ(told(study),
            "runs holds 4 runs of other settings (run.precision); give the changes they were made with, e.g. "
            "run.precision=bf16");
  EXPECT_EQ(told(changed), "");
  Study more_seeds = changed;
  more_seeds.seeds = {2, 3};
  EXPECT_EQ(told(more_seeds), "");  // of seed 2 there are some
  more_seeds.seeds = {7};
  EXPECT_EQ(told(more_seeds), "runs holds 4 runs of other settings (run.seed)");
  make(study);
  EXPECT_EQ(told(study), "");
}

}  // namespace
}  // namespace crescendo::study
