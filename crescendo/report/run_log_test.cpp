#include "crescendo/report/run_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "tests/support/temporary_folder.h"

namespace crescendo::report {
namespace {

using schedule::Examples;
using schedule::Updates;
using support::TemporaryFolder;
using ::testing::HasSubstr;

std::vector<nlohmann::json> Lines(const std::filesystem::path& path) {
  std::istringstream in(ReadFile(path));
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

RunHeader SomeHeader() {
  RunHeader header;
  header.config_toml = "[schedule]\npolicy = \"grow\"\n";
  header.machine = "2 cores";
  header.micro_batch = 128;
  header.train_examples = 50'000;
  header.total_examples = 10'240'000;
  header.total_updates = 28'891;
  return header;
}

UpdateRecord SomeUpdate() {
  UpdateRecord record;
  record.setting.update = Updates{9};
  record.setting.begin = Examples{1152};
  record.setting.end = Examples{1280};
  record.setting.global_batch = Examples{128};
  record.setting.learning_rate = 0.1;
  record.setting.momentum = 0.9;
  record.setting.noise_scale = 390.625;
  record.epoch = 0.0256;
  record.loss = 2.0 / 3;
  record.examples_per_second = 1234.5;
  record.seconds = 1.0 / 3;
  return record;
}

EvaluationRecord SomeEvaluation() {
  EvaluationRecord record;
  record.updates = Updates{391};
  record.examples = Examples{50'048};
  record.epoch = 1.00096;
  record.loss = 1e-300 / 3;
  record.accuracy = 0.1 + 0.2;
  record.train_seconds = 12.25;
  return record;
}

TEST(RunLog, IsOneObjectPerLineWithFieldsSpelledOut) {
  const TemporaryFolder folder;
  {
    RunLog log(folder / "run.jsonl");
    log.Header(SomeHeader());
    log.Update(SomeUpdate());
  }
  const auto lines = Lines(folder / "run.jsonl");
  ASSERT_EQ(lines.size(), 2);
  EXPECT_TRUE(ReadFile(folder / "run.jsonl").starts_with(kRunLogBegin));
  EXPECT_EQ(lines[0]["type"], "header");
  EXPECT_EQ(lines[0]["config_toml"], "[schedule]\npolicy = \"grow\"\n");
  EXPECT_FALSE(lines[0].contains("gpu_id"));
  EXPECT_EQ(lines[1]["type"], "update");
  EXPECT_EQ(lines[1]["updates"], 10);     // done after this one
  EXPECT_EQ(lines[1]["examples"], 1280);  // seen after this one
  EXPECT_EQ(lines[1]["global_batch"], 128);
  EXPECT_EQ(lines[1]["learning_rate"], 0.1);
  EXPECT_EQ(lines[1]["momentum"], 0.9);
  EXPECT_EQ(lines[1]["noise_scale"], 390.625);
  EXPECT_EQ(lines[1]["loss"].get<double>(), 2.0 / 3);
  EXPECT_EQ(lines[1]["train_seconds"].get<double>(), 1.0 / 3);
}

TEST(RunLog, ComesBackAsItWasWritten) {
  const TemporaryFolder folder;
  RunLog log(folder / "run.jsonl");
  RunHeader header = SomeHeader();
  header.gpu_id = "GPU-8a";
  log.Header(header);
  log.Update(SomeUpdate());
  ResumeRecord resume;
  resume.changes = "run.threads=2";
  resume.gpu_id = "GPU-9b";
  log.Resume(resume);
  log.Update(SomeUpdate());
  log.Evaluation(SomeEvaluation());
  RunFooter footer;
  footer.end = RunEnd::kInterrupted;
  footer.reason = "stopped by the user";
  footer.updates = Updates{391};
  footer.examples = Examples{50'048};
  footer.final_evaluation = SomeEvaluation();
  footer.train_seconds = 0.1;
  footer.total_seconds = 0.3;
  log.Footer(footer);

  const RunSummary run = ReadRunLog(folder / "run.jsonl");
  EXPECT_EQ(run.header.config_toml, SomeHeader().config_toml);
  EXPECT_EQ(run.header.machine, "2 cores");
  EXPECT_EQ(run.header.gpu_id, "GPU-8a");
  EXPECT_EQ(run.resumes.at(0).gpu_id, "GPU-9b");
  EXPECT_EQ(run.resumes.at(0).changes, "run.threads=2");
  EXPECT_EQ(run.header.total_updates, 28'891);
  EXPECT_EQ(run.header.micro_batch, 128);
  EXPECT_EQ(run.logged_updates, 2);
  ASSERT_EQ(run.evaluations.size(), 1);
  EXPECT_EQ(run.evaluations[0].updates, Updates{391});
  EXPECT_EQ(run.evaluations[0].examples, Examples{50'048});
  EXPECT_EQ(run.evaluations[0].loss, 1e-300 / 3);
  EXPECT_EQ(run.evaluations[0].accuracy, 0.1 + 0.2);
  ASSERT_TRUE(run.footer);
  EXPECT_EQ(run.footer->end, RunEnd::kInterrupted);
  EXPECT_EQ(run.footer->reason, "stopped by the user");
  EXPECT_EQ(run.footer->final_evaluation.accuracy, 0.1 + 0.2);
  EXPECT_EQ(run.footer->train_seconds, 0.1);
  EXPECT_EQ(run.footer->total_seconds, 0.3);
  EXPECT_EQ(run.warning, "");
}

TEST(RunLog, SaysWhatANumberThatJsonLacksWas) {
  const TemporaryFolder folder;
  RunLog log(folder / "run.jsonl");
  log.Header(SomeHeader());
  UpdateRecord update = SomeUpdate();
  update.loss = std::nan("");
  log.Update(update);
  EvaluationRecord evaluation = SomeEvaluation();
  evaluation.loss = -HUGE_VAL;
  log.Evaluation(evaluation);
  const auto lines = Lines(folder / "run.jsonl");
  EXPECT_TRUE(lines[1]["loss"].is_null());
  EXPECT_EQ(lines[1]["loss_text"], "nan");
  EXPECT_TRUE(lines[2]["test_loss"].is_null());
  EXPECT_EQ(ReadRunLog(folder / "run.jsonl").evaluations[0].loss, -HUGE_VAL);
}

TEST(RunLog, IsOnDiskAfterEachEvaluation) {
  const TemporaryFolder folder;
  RunLog log(folder / "run.jsonl");
  log.Header(SomeHeader());
  log.Update(SomeUpdate());
  log.Evaluation(SomeEvaluation());
  const RunSummary run = ReadRunLog(folder / "run.jsonl");  // while `log` is still open
  EXPECT_EQ(run.evaluations.size(), 1);
  EXPECT_FALSE(run.footer);
  EXPECT_THAT(run.warning, HasSubstr("no footer"));
}

TEST(RunLog, CutOffAnywhereLosesTheLastLineOnlyAndSaysSo) {
  const TemporaryFolder folder;
  {
    RunLog log(folder / "run.jsonl");
    log.Header(SomeHeader());
    log.Evaluation(SomeEvaluation());
    log.Evaluation(SomeEvaluation());
  }
  const std::string whole = ReadFile(folder / "run.jsonl");
  const size_t last_line = whole.rfind('\n', whole.size() - 2) + 1;
  for (size_t size = last_line + 1; size < whole.size(); ++size) {
    std::ofstream(folder / "cut.jsonl") << whole.substr(0, size);
    const RunSummary run = ReadRunLog(folder / "cut.jsonl");
    EXPECT_EQ(run.evaluations.size(), 1);
    EXPECT_THAT(run.warning, HasSubstr("line 3 is cut off"));
  }
}

TEST(RunLog, RefusesWhatIsNoRunLogByFileAndLine) {
  const TemporaryFolder folder;
  const auto error_of = [&](const std::string& text) {
    std::ofstream(folder / "x.jsonl") << text;
    try {
      ReadRunLog(folder / "x.jsonl");
    } catch (const UserError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_THAT(error_of(""), HasSubstr("holds no header"));
  EXPECT_THAT(error_of("{\"type\":"), HasSubstr("holds no header"));
  EXPECT_THAT(error_of("hello\nworld\n"), HasSubstr("x.jsonl is not a run log: line 1: 'hello' is not a record"));
  EXPECT_THAT(error_of("{\"type\":\"footer\"}\n"), HasSubstr("line 1: the first line is not a header"));
  EXPECT_THAT(error_of("{\"type\":\"header\",\"format_version\":9}\n"), HasSubstr("format_version is 9"));
}

TEST(RunLog, NamesTheFileWhenTheDiskIsFull) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "this system has no /dev/full";
  RunLog log("/dev/full");
  try {
    log.Header(SomeHeader());
    FAIL();
  } catch (const RunError& error) {
    EXPECT_THAT(error.what(), HasSubstr("cannot write /dev/full: No space left on device"));
  }
  EXPECT_THROW(RunLog("/no/such/folder/run.jsonl"), RunError);
}

}  // namespace
}  // namespace crescendo::report
