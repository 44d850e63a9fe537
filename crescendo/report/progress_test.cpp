#include "crescendo/report/progress.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <sstream>

#include "crescendo/base/file.h"
#include "crescendo/report/plan_fixture.h"
#include "tests/support/temporary_folder.h"

namespace crescendo::report {
namespace {

using schedule::Examples;
using schedule::MakePlan;
using schedule::Plan;
using schedule::Policy;
using schedule::Updates;
using support::TemporaryFolder;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

ProgressView SomeView() {
  return {.done = 0.2999,
          .phase = 2,
          .phases = 4,
          .epoch = 61.5,
          .epochs = 204.8,
          .examples = 3'075'000,
          .total_examples = 10'240'000,
          .updates = 23'555,
          .total_updates = 28'891,
          .global_batch = 640,
          .largest_batch = 5'120,
          .learning_rate = 0.1,
          .loss = 0.25,
          .examples_per_second = 1850.4,
          .seconds_left = 3725,
          .test_accuracy = 0.9135};
}

TEST(Progress, LineShowsEverythingWhereThereIsRoom) {
  EXPECT_EQ(ProgressLine(SomeView(), 200),
            " 29%  [====            ]  phase 2/4  61.50ep  3,075,000sp  upd 23,555  batch 640  lr 0.1  loss 0.2500  "
            "1,850 img/s  1h02m left  test 91.35%");
}

TEST(Progress, LineFitsEveryWidthAndKeepsWhatMatters) {
  for (int width = 5; width <= 200; ++width) {
    const std::string line = ProgressLine(SomeView(), width);
    EXPECT_LE(static_cast<int>(line.size()), width);
    EXPECT_THAT(line, StartsWith(" 29%"));
  }
  EXPECT_EQ(ProgressLine(SomeView(), 2), " 2");
  EXPECT_EQ(ProgressLine(SomeView(), 0), "");
  EXPECT_EQ(ProgressLine(SomeView(), 79), " 29%  batch 640  lr 0.1  loss 0.2500  1h02m left  test 91.35%");
  EXPECT_EQ(ProgressLine(SomeView(), 99),
            " 29%  phase 2/4  batch 640  lr 0.1  loss 0.2500  1,850 img/s  1h02m left  test 91.35%");
  EXPECT_EQ(ProgressLine(SomeView(), 119),
            " 29%  phase 2/4  61.50ep  upd 23,555  batch 640  lr 0.1  loss 0.2500  1,850 img/s  1h02m left  "
            "test 91.35%");
}

TEST(Progress, LineHasTheSamePiecesFromTheFirstToTheLast) {
  ProgressView first = SomeView();
  first.phase = 1;
  first.epoch = 0.01;
  first.examples = first.global_batch = 128;
  first.updates = 1;
  first.loss = 2.3;
  first.examples_per_second = 9.5;
  first.seconds_left = first.test_accuracy = -1;
  ProgressView last = SomeView();
  last.phase = 4;
  last.epoch = last.epochs;
  last.examples = last.total_examples;
  last.updates = last.total_updates;
  last.global_batch = last.largest_batch;
  last.learning_rate = 0.00032768;
  const auto pieces_of = [](const ProgressView& view, int width) {
    const std::string line = ProgressLine(view, width);
    std::vector<std::string> pieces;
    for (const char* piece : {"[", "phase ", "ep", "sp", "upd ", "batch ", "lr ", "loss ", " img/s", " left", "test"}) {
      if (line.find(piece) != std::string::npos) pieces.emplace_back(piece);
    }
    return pieces;
  };
  for (int width = 5; width <= 200; ++width) EXPECT_EQ(pieces_of(first, width), pieces_of(last, width)) << width;
  EXPECT_EQ(ProgressLine(first, 79), " 29%  batch 128  lr 0.1  loss 2.3000  ? left  untested");
  EXPECT_THAT(PlainProgressLine(first), EndsWith("  9.5 images/s  ? left  untested"));
}

TEST(Progress, PlainLineSaysTheSameInFullWords) {
  ProgressView view = SomeView();
  EXPECT_EQ(PlainProgressLine(view),
            " 29%  phase 2/4  epoch 61.50/204.8  3,075,000 examples  update 23,555/28,891  batch 640  lr 0.1  "
            "loss 0.2500  1,850 images/s  1 h 02 min left  test 91.35%");
  view.at_most = true;
  EXPECT_THAT(PlainProgressLine(view), HasSubstr("  at most 1 h 02 min left  "));
  EXPECT_THAT(ProgressLine(view, 99), HasSubstr("  <1h02m left  "));
}

TEST(Progress, DurationsReadAsPeopleSayThem) {
  EXPECT_EQ(DurationText(0.4), "0 s");
  EXPECT_EQ(DurationText(59.4), "59 s");
  EXPECT_EQ(DurationText(59.6), "1 min 00 s");
  EXPECT_EQ(DurationText(725), "12 min 05 s");
  EXPECT_EQ(DurationText(12'000), "3 h 20 min");
  EXPECT_EQ(DurationText(190'000), "2 d 4 h");
}

// Where progress is written that nobody watches.
class LogFile {
 public:
  int descriptor() const { return descriptor_; }
  std::string Text() const { return ReadFile(path_); }

  ~LogFile() { close(descriptor_); }

 private:
  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "log";
  int descriptor_ = open(path_.c_str(), O_CREAT | O_WRONLY, 0600);
};

// Runs a plan on a machine of 1 ms per example and 50 ms per update, whose clock Progress reads.
class SyntheticRun {
 public:
  SyntheticRun(const Plan& plan, int fd) : plan_(plan), progress_(plan, fd, [this] { return now_; }) {}

  void To(Updates end) {
    for (; update_ < end; update_ += Updates{1}) {
      const schedule::Setting setting = plan_.At(update_);
      const double seconds = 0.001 * static_cast<double>(setting.global_batch.value()) + 0.05;
      now_ += seconds;
      train_seconds_ += seconds;
      UpdateRecord record;
      record.setting = setting;
      record.epoch = static_cast<double>(setting.end.value()) / 50'000;
      record.seconds = train_seconds_;
      progress_.Update(record);
    }
  }

  void Evaluate(double accuracy) {
    now_ += 5;
    EvaluationRecord record;
    record.updates = update_;
    record.examples = plan_.At(update_ - Updates{1}).end;
    record.epoch = static_cast<double>(record.examples.value()) / 50'000;
    record.accuracy = accuracy;
    progress_.Evaluation(record);
  }

  // Trains, and keeps no record of these updates.
  void UnrecordedTo(Updates end) { update_ = end; }

  void End() {
    RunFooter footer;
    footer.updates = update_;
    footer.examples = Examples{1280};
    footer.total_seconds = 12;
    progress_.Footer(footer);
  }

 private:
  const Plan& plan_;
  double now_ = 1000;
  double train_seconds_ = 0;
  Updates update_;
  Progress progress_;
};

std::vector<std::string> Lines(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(Progress, InAFileIsALineEveryTenSecondsAndAtEvaluationsAndChangesOfPhase) {
  const LogFile log;
  const Plan plan = MakePlan(PaperRequest(Policy::kGrow, 5'120));
  SyntheticRun run(plan, log.descriptor());
  run.To(Updates{100});  // of 0.178 s: the first at once, one after 57 updates
  EXPECT_EQ(Lines(log.Text()).size(), 2);
  run.Evaluate(0.5);
  auto lines = Lines(log.Text());
  ASSERT_EQ(lines.size(), 3);
  EXPECT_THAT(lines[0], EndsWith("  ? left  untested")) << "nothing can be told from one update";
  EXPECT_THAT(lines[1], HasSubstr("  at most "));
  EXPECT_THAT(lines[2], AllOf(StartsWith("  0%  phase 1/4"), HasSubstr("update 100/"), EndsWith("test 50.00%")));
  EXPECT_THAT(log.Text(), Not(HasSubstr("\r")));

  run.To(Updates{23'438});  // all of phase 1
  EXPECT_THAT(Lines(log.Text()).back(), HasSubstr("phase 1/4"));
  run.To(Updates{23'439});
  EXPECT_THAT(Lines(log.Text()).back(), AllOf(HasSubstr("phase 2/4"), HasSubstr("batch 640")));
  run.End();
  EXPECT_EQ(Lines(log.Text()).back(), "finished after 23,439 updates, 1,280 examples, 12 s");
}

TEST(Progress, AfterAnEvaluationIsWhereItWasMade) {
  const LogFile log;
  const Plan plan = MakePlan(PaperRequest(Policy::kGrow, 5'120));
  SyntheticRun run(plan, log.descriptor());
  run.To(Updates{1});
  run.UnrecordedTo(Updates{391});
  run.Evaluate(0.5);
  EXPECT_THAT(Lines(log.Text()).back(), AllOf(HasSubstr("phase 1/4  epoch 1.00/204.8  50,048 examples  update 391/"),
                                              HasSubstr("  batch 128  lr 0.1  "), EndsWith("test 50.00%")));
  run.UnrecordedTo(Updates{23'450});
  run.Evaluate(0.6);
  EXPECT_THAT(Lines(log.Text()).back(), AllOf(HasSubstr("phase 2/4"), HasSubstr("update 23,450/"),
                                              HasSubstr("batch 640"), EndsWith("test 60.00%")));
  EXPECT_EQ(Lines(log.Text()).size(), 3);
}

// As after a kill during the last evaluation: nothing is left to train, and the line is still of the end.
TEST(Progress, OfAResumedRunThatOnlyHasToBeTestedIsAtItsEnd) {
  const LogFile log;
  const Plan plan = MakePlan(PaperRequest(Policy::kGrow, 5'120));
  Progress progress(plan, log.descriptor());
  ResumeRecord resume;
  resume.updates = plan.total_updates();
  resume.examples = plan.total_examples();
  progress.Resume(resume);
  EvaluationRecord evaluation;
  evaluation.updates = plan.total_updates();
  evaluation.examples = plan.total_examples();
  evaluation.epoch = 204.8;
  evaluation.accuracy = 0.5;
  progress.Evaluation(evaluation);
  EXPECT_THAT(Lines(log.Text()).back(),
              AllOf(HasSubstr("100%  phase 4/4  epoch 204.80/204.8"), EndsWith("test 50.00%")));
}

TEST(Progress, OfAResumedRunKnowsTheLastTestBefore) {
  const LogFile log;
  const Plan plan = MakePlan(PaperRequest(Policy::kGrow, 5'120));
  Progress progress(plan, log.descriptor());
  ResumeRecord resume;
  resume.updates = Updates{500};
  resume.examples = plan.At(resume.updates).end - Examples{128};
  resume.evaluation.updates = Updates{391};
  resume.evaluation.accuracy = 0.25;
  progress.Resume(resume);
  UpdateRecord update;
  update.setting = plan.At(resume.updates);
  progress.Update(update);
  EXPECT_THAT(Lines(log.Text()).back(), AllOf(HasSubstr("update 501/"), EndsWith("test 25.00%")));
}

TEST(Progress, InAFileSaysNothingTwice) {
  const LogFile log;
  const Plan plan = MakePlan(PaperRequest(Policy::kGrow, 5'120));
  SyntheticRun run(plan, log.descriptor());
  run.To(Updates{23'439});  // the first of phase 2, which is announced
  run.Evaluate(0.5);
  const auto lines = Lines(log.Text());
  EXPECT_THAT(lines[lines.size() - 2], AllOf(HasSubstr("phase 2/4"), HasSubstr("update 23,439/")));
  EXPECT_THAT(lines.back(), MatchesRegex(" 29%  update 23,439/[0-9,]+  test 50.00%"));
}

TEST(Progress, InAFileDoesNotAnnounceThousandsOfPhases) {
  const LogFile log;
  const Plan plan = MakePlan(CosineRequest());
  ASSERT_GT(plan.phases().size(), 1000);
  SyntheticRun run(plan, log.descriptor());
  run.To(plan.total_updates());  // 10,000 s of examples and 1,960 s of updates: a line every ten seconds
  EXPECT_LE(Lines(log.Text()).size(), 1200);
}

TEST(Progress, TimeLeftStaysRightWhenTheBatchChanges) {
  const LogFile log;
  const Plan plan = MakePlan(PaperRequest(Policy::kGrow, 5'120));
  SyntheticRun run(plan, log.descriptor());
  run.To(Updates{23'500});  // 62 updates into phase 2
  // What is left: 10,240,000 - 3,000,064 - 62 * 640 examples and all other updates.
  const double examples = 10'240'000 - 3'000'064 - 62 * 640;
  const double updates = static_cast<double>(plan.total_updates().value() - 23'500);
  const double seconds = 0.001 * examples + 0.05 * updates;
  // The line was shown up to ten seconds before.
  const std::string line = Lines(log.Text()).back();
  EXPECT_TRUE(line.find(DurationText(seconds) + " left") != std::string::npos ||
              line.find(DurationText(seconds + 10) + " left") != std::string::npos)
      << line << "\nexpected about " << DurationText(seconds);
  EXPECT_THAT(line, Not(HasSubstr("at most"))) << "a second batch was timed";
}

// A real terminal: the line is rewritten in place, and not more than five times a second.
TEST(Progress, OnATerminalIsOneLineOfItsWidth) {
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0)
    GTEST_SKIP() << "this system gives no terminal";
  const int fd = open(ptsname(terminal), O_RDWR | O_NOCTTY);
  ASSERT_GE(fd, 0);
  winsize size{};
  size.ws_col = 60;
  ASSERT_EQ(ioctl(fd, TIOCSWINSZ, &size), 0);
  const Plan plan = MakePlan(PaperRequest(Policy::kGrow, 5'120));
  SyntheticRun run(plan, fd);
  run.To(Updates{10});  // 1.78 s on the clock
  run.End();
  std::string shown;
  while (shown.find("finished after") == std::string::npos || !shown.ends_with("\r\n")) {  // it comes in pieces
    std::array<char, 4096> piece;
    const ssize_t size_read = read(terminal, piece.data(), piece.size());
    ASSERT_GT(size_read, 0) << shown;
    shown.append(piece.data(), static_cast<size_t>(size_read));
  }
  close(fd);
  close(terminal);
  const size_t end_of_line = shown.find("\r\n");  // the terminal turns \n into this
  ASSERT_NE(end_of_line, std::string::npos);
  const std::string rewritten = shown.substr(0, end_of_line);
  EXPECT_EQ(std::count(rewritten.begin(), rewritten.end(), '\r'), 5);  // every second update: 0.356 s apart
  std::istringstream parts(rewritten.substr(1));
  for (std::string part; std::getline(parts, part, '\r');) {
    EXPECT_LE(part.size(), 59 + 3) << part;  // and the sequence that clears what is behind it
    EXPECT_THAT(part, AllOf(StartsWith("  0%"), EndsWith("\x1b[K")));
  }
  EXPECT_THAT(shown, EndsWith("finished after 10 updates, 1,280 examples, 12 s\r\n"));
}

}  // namespace
}  // namespace crescendo::report
