#include "crescendo/report/log_continuation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include "crescendo/base/file.h"
#include "crescendo/report/event_log.h"
#include "crescendo/report/run_log.h"
#include "tests/support/temporary_folder.h"

namespace crescendo::report {
namespace {

using schedule::Examples;
using schedule::Updates;
using support::TemporaryFolder;
using ::testing::HasSubstr;

namespace fs = std::filesystem;

constexpr int64_t kBatch = 100;

UpdateRecord UpdateNumber(int64_t number) {
  UpdateRecord record{};
  record.setting.update = Updates{number - 1};
  record.setting.end = Examples{number * kBatch};
  return record;
}

EvaluationRecord EvaluationAfter(int64_t updates) {
  EvaluationRecord record;
  record.updates = Updates{updates};
  record.examples = Examples{updates * kBatch};
  return record;
}

LogPosition At(int64_t updates, int64_t evaluated) {
  return {Updates{updates}, Examples{updates * kBatch}, Updates{evaluated}, Examples{evaluated * kBatch}};
}

// Updates 1 to `last`, an evaluation after each third.
template <class Log>
void WriteRecords(Log& log, int64_t first, int64_t last) {
  for (int64_t i = first; i <= last; ++i) {
    log.Update(UpdateNumber(i));
    if (i % 3 == 0) log.Evaluation(EvaluationAfter(i));
  }
  log.Flush();
}

// The files' names and bytes. Event files carry the time in them, so their length is what can be compared.
size_t EventBytes(const fs::path& folder) {
  size_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  return bytes;
}

class LogContinuation : public ::testing::Test {
 protected:
  std::string LogOf(int64_t last) const {
    const fs::path path = folder_ / ("expected_" + std::to_string(last));
    {
      RunLog log(path);
      log.Header({});
      WriteRecords(log, 1, last);
    }
    return ReadFile(path);
  }
  TemporaryFolder folder_;
  fs::path path_ = folder_ / "run.jsonl";
};

TEST_F(LogContinuation, RunLogEndsWithTheCheckpointAndGoesOnAsIfNeverCut) {
  {
    RunLog log(path_);
    log.Header({});
    WriteRecords(log, 1, 8);
    log.Footer({});
  }
  const RunLogCut cut = CutRunLog(path_, At(5, 3));
  EXPECT_TRUE(cut.has_header);
  EXPECT_EQ(cut.warning, "");
  EXPECT_EQ(ReadFile(path_), LogOf(5));
  {
    RunLog log(path_, RunLog::Open::kAppend);
    WriteRecords(log, 6, 8);
  }
  EXPECT_EQ(ReadFile(path_), LogOf(8));
}

// The evaluation at the end of a run comes after the checkpoint at its end.
TEST_F(LogContinuation, EvaluationAtTheCheckpointStaysOnlyIfTheCheckpointKnowsIt) {
  const auto evaluations_after_cut = [&](int64_t evaluated) {
    {
      RunLog log(path_);
      log.Header({});
      WriteRecords(log, 1, 6);
    }
    CutRunLog(path_, At(6, evaluated));
    return ReadRunLog(path_).evaluations.size();
  };
  EXPECT_EQ(evaluations_after_cut(6), 2);
  EXPECT_EQ(evaluations_after_cut(3), 1);
}

TEST_F(LogContinuation, LineThatWasBeingWrittenIsCut) {
  WriteFileAtomically(path_, LogOf(5) + R"({"type":"update","upda)");
  EXPECT_EQ(CutRunLog(path_, At(7, 3)).warning, "");
  EXPECT_EQ(ReadFile(path_), LogOf(5));
}

TEST_F(LogContinuation, DamageIsSaid) {
  WriteFileAtomically(path_, LogOf(2) + "noise\n" + LogOf(2));
  const std::string damaged = ReadFile(path_);
  EXPECT_THAT(CutRunLog(path_, At(7, 3)).warning, HasSubstr("line 4 is not a record"));
  EXPECT_EQ(ReadFile(path_.string() + ".damaged"), damaged);
  EXPECT_EQ(ReadFile(path_), LogOf(2));
  const RunLogCut missing = CutRunLog(folder_ / "none.jsonl", At(7, 3));
  EXPECT_FALSE(missing.has_header);
  EXPECT_THAT(missing.warning, HasSubstr("missing"));
  WriteFileAtomically(path_, "");
  EXPECT_FALSE(CutRunLog(path_, At(7, 3)).has_header);
}

TEST_F(LogContinuation, EventFilesEndWithTheCheckpoint) {
  const auto write = [&](const std::string& name, int64_t last) {
    EventLog events(folder_ / name);
    WriteRecords(events, 1, last);
    return folder_ / name;
  };
  // 5 scalars an update, 2 an evaluation: a step after 127 takes a byte more, so only equal files have equal lengths.
  const fs::path long_one = write("long", 8);
  CutEventLog(long_one, At(5, 3));
  EXPECT_EQ(EventBytes(long_one), EventBytes(write("five", 5)));
  const fs::path at_evaluation = write("evaluation", 6);
  const size_t whole = EventBytes(at_evaluation);
  CutEventLog(at_evaluation, At(6, 6));
  EXPECT_EQ(EventBytes(at_evaluation), whole);
  CutEventLog(at_evaluation, At(6, 3));
  EXPECT_LT(EventBytes(at_evaluation), whole);
  EXPECT_GT(EventBytes(at_evaluation), EventBytes(write("five_again", 5)));
}

TEST_F(LogContinuation, EventThatWasBeingWrittenOrIsDamagedIsCut) {
  const fs::path folder = folder_ / "by_updates";
  {
    EventFile file(folder);
    const std::array<Scalar, 2> scalars = {{{"train/loss", 1}, {"schedule/global_batch", 128}}};
    for (int64_t step = 1; step <= 3; ++step) file.Scalars(step, scalars);
    file.Flush();
  }
  const fs::path file = fs::directory_iterator(folder)->path();
  const size_t whole = fs::file_size(file);
  fs::resize_file(file, whole - 1);
  CutEventLog(folder_.path(), At(9, 9));
  const size_t two = fs::file_size(file);
  EXPECT_LT(two, whole - 1);
  std::string bytes = ReadFile(file);
  bytes[two - 8] = static_cast<char>(bytes[two - 8] ^ 1);
  WriteFileAtomically(file, bytes);
  CutEventLog(folder_.path(), At(9, 9));
  EXPECT_EQ(fs::file_size(file), two - (whole - two));
}

TEST_F(LogContinuation, ResumeRecordsAreRead) {
  ResumeRecord record;
  record.updates = Updates{5};
  record.examples = Examples{500};
  record.changes = "data.threads=2";
  record.machine = "a machine";
  record.micro_batch = 8;
  {
    RunLog log(path_);
    log.Header({});
    log.Resume(record);
  }
  const RunSummary summary = ReadRunLog(path_);
  ASSERT_EQ(summary.resumes.size(), 1);
  EXPECT_EQ(summary.resumes[0].examples, Examples{500});
  EXPECT_EQ(summary.resumes[0].changes, "data.threads=2");
  EXPECT_EQ(summary.resumes[0].machine, "a machine");
  EXPECT_EQ(summary.resumes[0].micro_batch, 8);
}

}  // namespace
}  // namespace crescendo::report
