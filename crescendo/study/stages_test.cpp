#include "crescendo/study/stages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "crescendo/base/file.h"
#include "crescendo/report/run_log.h"
#include "crescendo/study/runs.h"
#include "crescendo/study/test_support.h"

namespace crescendo::study {
namespace {

using ::testing::ElementsAre;

std::vector<int64_t> LengthsOf(const Stage& stage) {
  std::vector<int64_t> lengths;
  for (const Trial& trial : stage.trials) lengths.push_back(trial.total_examples);
  return lengths;
}

// What a run leaves that trained for so many seconds, one start and its evaluations apart.
void Finish(const Stage& stage, size_t trial, double train_seconds, report::RunEnd end = report::RunEnd::kFinished) {
  const TrialRun run = FindRuns(stage.study, stage.trials)[trial];
  PrepareFolder(run.folder, stage.trials[trial]);
  report::RunFooter footer;
  footer.end = end;
  footer.examples = schedule::Examples{stage.trials[trial].total_examples};
  footer.train_seconds = train_seconds;
  footer.total_seconds = 3 * train_seconds + 1;
  report::RunLog(LogFile(run.folder)).Footer(footer);
}

TEST(Stages, IsOneWhereTimeIsNotHeldEqual) {
  const support::TemporaryFolder folder;
  const Stage stage = CurrentStage(SmallStudy(folder, "seeds = [4, 9]"), PlanOfSmall);
  EXPECT_TRUE(stage.is_last);
  EXPECT_THAT(LengthsOf(stage), ElementsAre(4000, 4000, 4000, 4000));
}

TEST(Stages, StretchesEachScheduleByItsPilot) {
  const support::TemporaryFolder folder;
  const Study study = SmallStudy(folder, "seeds = [4, 9]\nequal = \"wall_clock\"");
  const Stage pilots = CurrentStage(study, PlanOfSmall);
  EXPECT_FALSE(pilots.is_last);
  ASSERT_EQ(pilots.trials.size(), 2);  // one seed of each
  EXPECT_EQ(pilots.trials[1].seed, 4);
  EXPECT_THAT(LengthsOf(pilots), ElementsAre(4000, 4000));

  Finish(pilots, 0, 10);
  EXPECT_FALSE(CurrentStage(study, PlanOfSmall).is_last);
  Finish(pilots, 1, 8);  // 10 / 8 = 1.25 times as long takes the reference's time
  const Stage last = CurrentStage(study, PlanOfSmall);
  EXPECT_TRUE(last.is_last);
  EXPECT_THAT(LengthsOf(last), ElementsAre(4000, 4000, 5000, 5000));
  // As a whole: the boundary stays in the middle.
  EXPECT_EQ(last.trials[2].options.reference.boundaries[0].Resolve({kTrainExamples}).value(), 2500);
  // The reference's pilot is its first run; the other's is none of the study.
  EXPECT_EQ(last.trials[0].digest, pilots.trials[0].digest);
  EXPECT_NE(last.trials[2].digest, pilots.trials[1].digest);
  const std::vector<TrialRun> runs = FindRuns(last.study, last.trials);
  EXPECT_EQ(runs[0].state, TrialState::kFinished);
  EXPECT_EQ(runs[2].state, TrialState::kWaiting);
}

// What a crash of the machine has to do with the variant is not known.
TEST(Stages, WaitForAPilotThatCrashed) {
  const support::TemporaryFolder folder;
  const Study study = SmallStudy(folder, "seeds = 2\nequal = \"wall_clock\"");
  const Stage pilots = CurrentStage(study, PlanOfSmall);
  Finish(pilots, 0, 10);
  const TrialRun crashed = FindRuns(pilots.study, pilots.trials)[1];
  PrepareFolder(crashed.folder, pilots.trials[1]);
  WriteFileAtomically(CrashFile(crashed.folder), "no memory\n");
  EXPECT_FALSE(CurrentStage(study, PlanOfSmall).is_last);
}

TEST(Stages, KeepAVariantThatFailedAsItIs) {
  const support::TemporaryFolder folder;
  const Study study = SmallStudy(folder, "seeds = 2\nequal = \"wall_clock\"");
  const Stage pilots = CurrentStage(study, PlanOfSmall);
  Finish(pilots, 0, 10);
  Finish(pilots, 1, 1, report::RunEnd::kFailed);
  const Stage last = CurrentStage(study, PlanOfSmall);
  EXPECT_TRUE(last.is_last);
  EXPECT_THAT(LengthsOf(last), ElementsAre(4000, 4000, 4000, 4000));
  EXPECT_EQ(FindRuns(last.study, last.trials)[2].state, TrialState::kFailed);  // in the statistics
}

}  // namespace
}  // namespace crescendo::study
