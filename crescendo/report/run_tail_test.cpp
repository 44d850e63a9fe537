#include "crescendo/report/run_tail.h"

#include <gtest/gtest.h>

#include "crescendo/report/run_log.h"
#include "tests/support/temporary_folder.h"

namespace crescendo::report {
namespace {

using schedule::Examples;
using schedule::Updates;

UpdateRecord UpdateEndingAt(int64_t examples) {
  UpdateRecord record;
  record.setting.end = Examples{examples};
  return record;
}

TEST(RunTail, IsWhereTheRunStands) {
  const support::TemporaryFolder folder;
  EXPECT_FALSE(ReadRunTail(folder / "run.jsonl"));
  RunLog log(folder / "run.jsonl");
  log.Header({});
  EXPECT_FALSE(ReadRunTail(folder / "run.jsonl"));  // it has not begun
  for (int64_t update = 1; update <= 200; ++update) log.Update(UpdateEndingAt(update * 128));
  log.Evaluation({.updates = Updates{200}, .examples = Examples{25'600}});
  const auto tail = ReadRunTail(folder / "run.jsonl");
  ASSERT_TRUE(tail);
  EXPECT_EQ(tail->examples, 25'600);
  EXPECT_FALSE(tail->end);
}

TEST(RunTail, TellsHowTheRunEnded) {
  const support::TemporaryFolder folder;
  RunFooter footer;
  footer.examples = Examples{512};
  footer.total_seconds = 6.5;
  footer.train_seconds = 4.5;
  footer.final_evaluation.updates = Updates{4};
  footer.final_evaluation.accuracy = 0.9625;
  const auto written = [&](RunEnd end) {
    footer.end = end;
    footer.reason = end == RunEnd::kFinished ? "" : std::string(5000, 'x');
    RunLog log(folder / "run.jsonl");
    log.Header({});
    log.Update(UpdateEndingAt(512));
    log.Footer(footer);
    return *ReadRunTail(folder / "run.jsonl");
  };
  const RunTail finished = written(RunEnd::kFinished);
  EXPECT_EQ(finished.end, RunEnd::kFinished);
  EXPECT_EQ(finished.accuracy, 0.9625);
  EXPECT_EQ(finished.seconds, 6.5);
  EXPECT_EQ(finished.train_seconds, 4.5);
  EXPECT_EQ(written(RunEnd::kFailed).end, RunEnd::kFailed);
  EXPECT_EQ(written(RunEnd::kFailed).reason, footer.reason);
  EXPECT_LT(written(RunEnd::kInterrupted).accuracy, 0);
}

TEST(RunTail, LeavesOutALineThatIsNotWhole) {
  const support::TemporaryFolder folder;
  const std::string path =
      folder.Write("run.jsonl", "{\"type\":\"header\"}\n{\"type\":\"update\",\"examples\":128}\n{\"type\":\"upd");
  EXPECT_EQ(ReadRunTail(path)->examples, 128);
}

}  // namespace
}  // namespace crescendo::report
