#include "crescendo/study/board.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "crescendo/base/file.h"
#include "crescendo/study/test_support.h"

namespace crescendo::study {
namespace {

using ::testing::HasSubstr;

class BoardTest : public ::testing::Test {
 protected:
  BoardTest()
      : study_(SmallStudy(folder_, "seeds = 2")), trials_(MakeTrials(study_, PlanOfSmall)), runs_(trials_.size()) {
    runs_[0].state = TrialState::kFinished;
    runs_[0].seconds = 100;
    runs_[0].accuracy = 0.9642;
    runs_[1].state = TrialState::kRunning;
    runs_[1].share_done = 0.25;
    runs_[2].state = TrialState::kFailed;
    runs_[2].reason = "the loss\nis nan";
  }
  BoardView View() const { return {study_, trials_, runs_, {0, 25, 0, 0}, {0, 0, 0, 0}, 2, false}; }

  support::TemporaryFolder folder_;
  Study study_;
  std::vector<Trial> trials_;
  std::vector<TrialRun> runs_;
};

TEST_F(BoardTest, ShowsWhereEveryVariantStands) {
  EXPECT_EQ(BoardText(View(), 80, 24),
            "variant  done  running  failed  waiting\n"
            "decay       1        1       -        -\n"
            "grow        -        -       1        1\n"
            "  decay, seed 2: 25 %, 25 s\n"
            "2 of 4 runs done, about 1 min 40 s left\n");
  EXPECT_THAT(BoardText(View(), 20, 24), HasSubstr("decay       1    ...\n"));
}

TEST_F(BoardTest, TimeLeftIsThatOfTheWorkOverTheJobsAndNotLessThanTheLongestRun) {
  // A run of decay takes 100 s (measured, and as the running one goes on); one of grow, of as many examples, as long.
  EXPECT_NEAR(SecondsLeft(View()), 100, 1e-9);
  BoardView view = View();
  view.jobs = 1;
  EXPECT_NEAR(SecondsLeft(view), 75 + 100, 1e-9);
  runs_[0].state = TrialState::kWaiting;
  runs_[1].share_done = 0;
  EXPECT_LT(SecondsLeft(View()), 0);
}

TEST_F(BoardTest, ARunThatIsSlowerThanTheOthersSaysSoItself) {
  runs_[2].state = runs_[3].state = TrialState::kFailed;
  runs_[1].share_done = 0.5;
  BoardView view = View();
  view.elapsed[1] = 300;  // whereas the other of its variant took 100 s
  EXPECT_NEAR(SecondsLeft(view), 300, 1e-9);
}

TEST_F(BoardTest, TimeLeftOfAResumedRunIsThatOfWhatItStillHasToDo) {
  runs_[0].state = runs_[3].state = TrialState::kFailed;
  runs_[1].share_done = 0.75;
  BoardView view = View();
  view.elapsed[1] = 25;  // from a half to three quarters
  view.share_before[1] = 0.5;
  EXPECT_NEAR(SecondsLeft(view), 25, 1e-9);

  runs_[0].state = TrialState::kFinished;  // after 100 s, so a run takes (100 + 25) / 1.25 s
  runs_[3].state = TrialState::kWaiting;   // and is to be resumed
  runs_[3].share_done = 0.9;
  view.jobs = 1;
  EXPECT_NEAR(SecondsLeft(view), 25 + 10, 1e-9);
}

TEST_F(BoardTest, IsNeverHigherThanTheTerminal) {
  EXPECT_EQ(BoardText(View(), 80, 5), BoardText(View(), 80, 24));
  EXPECT_EQ(BoardText(View(), 80, 4),
            "variant  done  running  failed  waiting\n"
            "... and 2 more variants\n"
            "  decay, seed 2: 25 %, 25 s\n"
            "2 of 4 runs done, about 1 min 40 s left\n");
  for (TrialRun& run : runs_) run.state = TrialState::kRunning;
  EXPECT_THAT(BoardText(View(), 80, 6), HasSubstr("  decay, seed 1: 0 %, 0 s\n... and 3 more runs\n0 of 4 runs done"));
  for (int64_t height = 2; height < 12; ++height) {
    const std::string text = BoardText(View(), 80, height);
    EXPECT_LE(std::ranges::count(text, '\n'), height);
  }
}

TEST_F(BoardTest, LinesSayHowARunEnded) {
  EXPECT_EQ(EndedLine(View(), 0), "[2/4] decay, seed 1: 96.42 % after 1 min 40 s; about 1 min 40 s left\n");
  EXPECT_THAT(EndedLine(View(), 2), HasSubstr("grow, seed 1: failed: the loss is nan"));
}

TEST_F(BoardTest, WithoutATerminalALineSaysHowFarTheRunsAre) {
  EXPECT_EQ(RunningLine(View()), "[2/4] running: decay, seed 2: 25 %; about 1 min 40 s left\n");
  runs_[3].state = TrialState::kRunning;  // has only begun, and takes 100 s as the others do
  EXPECT_EQ(RunningLine(View()), "[2/4] running: decay, seed 2: 25 %; grow, seed 2: 0 %; about 1 min 40 s left\n");
  BoardView stopping = View();
  stopping.stopping = true;
  EXPECT_EQ(RunningLine(stopping), "[2/4] running: decay, seed 2: 25 %; grow, seed 2: 0 %; stopping\n");
}

TEST_F(BoardTest, ThatLineStandsThereOnlyWhereNothingElseWasSaidForAWhile) {
  const std::string path = folder_.Write("screen.txt", "");
  const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND);
  Board patient(fd, 1000);
  patient.Redraw(View());
  EXPECT_EQ(ReadFile(path), "");
  Board talkative(fd, 0);
  talkative.Redraw(View());
  EXPECT_EQ(ReadFile(path), RunningLine(View()));
  runs_[1].state = TrialState::kFinished;
  talkative.Redraw(View());  // none runs
  EXPECT_EQ(std::ranges::count(ReadFile(path), '\n'), 1);
  ::close(fd);
}

}  // namespace
}  // namespace crescendo::study
