// crescendo compare and report, the real program on a table of 200 rows: whole runs, real signals.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "crescendo/base/file.h"
#include "tests/support/process.h"
#include "tests/support/temporary_folder.h"

namespace crescendo {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class CompareTest : public ::testing::Test {
 protected:
  CompareTest() {
    std::string table;
    for (int row = 0; row < 200; ++row) {
      const int x = row * 37 % 101;
      const int y = row * 53 % 97;
      table += std::to_string(x) + "," + std::to_string(y) + "," + (x > y ? "above" : "below") + "\n";
    }
    folder_.Write("table.csv", table);
    folder_.Write("base.toml", R"(
[data]
name = "csv"
train_file = "table.csv"
test_examples = 50
[model]
name = "mlp"
hidden = [8]
ghost_batch = 10
[reference]
global_batch = 10
learning_rate = 0.05
boundaries = ["10ep"]
factor = 0.2
[schedule]
length = "20ep"
[run]
device = "cpu"
micro_batch = 10
)");
  }

  void WriteStudy(const std::string& head, const std::string& rest = "") {
    folder_.Write("study.toml", "base = \"base.toml\"\nruns = \"runs\"\nseeds = 2\n" + head +
                                    "\n[variants.decay]\nschedule = {policy = \"decay\"}\n"
                                    "[variants.grow]\nschedule = {max_batch = \"none\"}\n" +
                                    rest);
  }

  support::ProcessResult Call(const std::vector<std::string>& words, int signal = 0, const std::string& after = "") {
    std::vector<std::string> command = {CRESCENDO_PROGRAM};
    command.insert(command.end(), words.begin(), words.end());
    return support::RunProcess(
        command, {.folder = folder_.path().string(), .signals = {{.number = signal, .after_text = after}}});
  }

  support::TemporaryFolder folder_;
};

TEST_F(CompareTest, RunsAStudyOnceAndReportsIt) {
  WriteStudy("margin = 5");
  const auto first = Call({"compare", "study.toml", "--jobs", "2"});
  ASSERT_EQ(first.exit_code, 0) << first.errors;
  EXPECT_THAT(first.errors, HasSubstr("[4/4] "));
  EXPECT_THAT(first.output, HasSubstr("differences below 5 points do not matter"));
  EXPECT_THAT(first.output, HasSubstr("Beside decay"));
  const auto second = Call({"compare", "study.toml"});
  EXPECT_EQ(second.output, first.output);
  EXPECT_THAT(second.errors, Not(HasSubstr("[")));
  EXPECT_THAT(Call({"compare", "study.toml", "--list"}).output,
              ::testing::MatchesRegex("digest .* state\n(.* runs/(decay|grow)-.* done\n)+"));

  const auto report = Call({"report", "study.toml", "--format", "json"});
  ASSERT_EQ(report.exit_code, 0) << report.errors;
  const auto json = nlohmann::json::parse(report.output);
  EXPECT_EQ(json["variants"][0]["accuracy_percent"]["n"], 2);
  EXPECT_EQ(json["variants"][0]["updates"], 300);
  EXPECT_EQ(json["variants"][1]["updates"], 180);  // 10 epochs of 15 and, at batch 50, of 3
  EXPECT_EQ(json["train_examples"], 150);
  EXPECT_EQ(Call({"report", "study.toml", "--out", "page.html"}).exit_code, 0);
  EXPECT_TRUE(std::filesystem::file_size(folder_ / "page.html") > 10'000);

  // The same runs without the study: two variants, recognised by their configs.
  std::vector<std::string> words = {"report"};
  for (const auto& run : json["variants"][0]["runs"]) words.push_back(run["folder"]);
  for (const auto& run : json["variants"][1]["runs"]) words.push_back(run["folder"]);
  const auto runs = Call(words);
  EXPECT_EQ(runs.exit_code, 0) << runs.errors;
  EXPECT_THAT(runs.output, HasSubstr("4 runs: final test accuracy in %; differences below 0.3 points do not matter"));
  words.insert(words.end(), {"--margin", "2.5"});
  EXPECT_THAT(Call(words).output, HasSubstr("differences below 2.5 points do not matter"));
  words.back() = "0";
  EXPECT_THAT(Call(words).errors, HasSubstr("--margin 0: it must be above 0 and at most 100"));
  words.resize(words.size() - 2);
  words.push_back(words[1]);
  EXPECT_EQ(Call(words).exit_code, 2);
}

TEST_F(CompareTest, AReportWithoutTheChangesOfTheRunsSaysWhereTheyAre) {
  WriteStudy("margin = 5");
  const auto before = Call({"report", "study.toml"});
  EXPECT_EQ(before.errors, "");  // nothing was run
  ASSERT_EQ(Call({"compare", "study.toml", "model.hidden=[4]"}).exit_code, 0);
  const std::string note =
      "runs holds 4 runs of other settings (model.hidden); give the changes they were made with, e.g. "
      "model.hidden=[4]";
  const auto without = Call({"report", "study.toml", "--out", "page.html"});
  EXPECT_EQ(without.exit_code, 0);
  EXPECT_THAT(without.errors, HasSubstr("crescendo: " + note + "\n"));
  EXPECT_THAT(ReadFile(folder_ / "page.html"), HasSubstr(note));
  const auto with = Call({"report", "study.toml", "model.hidden=[4]"});
  EXPECT_EQ(with.errors, "");
  EXPECT_THAT(with.output, HasSubstr("by seed"));
  const auto margin = Call({"report", "study.toml", "--margin", "1"});
  EXPECT_EQ(margin.exit_code, 2);
  EXPECT_THAT(margin.errors, HasSubstr("--margin 1 is for runs side by side; study.toml is a study, which states its "
                                       "own: margin = 5"));
}

TEST_F(CompareTest, InterruptedGoesOnWhereItWas) {
  WriteStudy("", "[options.schedule]\nlength = \"40ep\"\n");
  const auto stopped = Call({"compare", "study.toml", "--jobs", "1"}, SIGINT, "[1/4] ");
  EXPECT_EQ(stopped.exit_code, 128 + SIGINT);
  EXPECT_THAT(stopped.errors, HasSubstr("the same command goes on"));
  EXPECT_THAT(stopped.errors, Not(HasSubstr("crashed")));
  const auto report = Call({"report", "study.toml", "--format", "csv"});
  EXPECT_THAT(report.output, HasSubstr(",finished,"));
  EXPECT_THAT(report.output, HasSubstr(",waiting,"));
  const auto rest = Call({"compare", "study.toml", "--jobs", "2"});
  EXPECT_EQ(rest.exit_code, 0) << rest.errors;
  EXPECT_THAT(rest.errors, Not(HasSubstr("[1/4] ")));
  EXPECT_THAT(rest.errors, HasSubstr("[4/4] "));
}

TEST_F(CompareTest, ADivergedVariantIsAResult) {
  WriteStudy("",
             "[variants.wild]\nmodel.batch_norm = false\nreference.learning_rate = 1e6\nschedule.policy = \"decay\"\n");
  const auto study = Call({"compare", "study.toml", "--jobs", "2", "--seeds", "1"});
  EXPECT_EQ(study.exit_code, 0) << study.errors;
  EXPECT_THAT(study.output, HasSubstr("wild: fails: the only run that ended failed"));
  EXPECT_THAT(study.output, HasSubstr("wild, seed 1 failed: the loss is "));
}

TEST_F(CompareTest, EqualWallClockStretchesTheFasterSchedule) {
  WriteStudy("equal = \"wall_clock\"", "[options.schedule]\nlength = \"40ep\"\n");
  const auto study = Call({"compare", "study.toml", "--jobs", "2"});
  ASSERT_EQ(study.exit_code, 0) << study.errors;
  EXPECT_THAT(study.errors, HasSubstr("study, pilots: 2 variants, 1 seed, 1 at a time"));
  EXPECT_THAT(study.errors, HasSubstr("study: 2 variants, 2 seeds, 2 at a time"));
  EXPECT_THAT(study.output, HasSubstr("wall_clock held equal"));
  const auto again = Call({"compare", "study.toml"});  // the pilots are found again, so the lengths are the same
  EXPECT_EQ(again.output, study.output);
  EXPECT_THAT(again.errors, Not(HasSubstr("[")));

  const auto json = nlohmann::json::parse(Call({"report", "study.toml", "--format", "json"}).output);
  EXPECT_EQ(json["variants"][0]["examples"], 40 * 150);
  const auto& pilot = json["variants"][0]["runs"][0];  // the reference's is its own first run
  EXPECT_EQ(pilot["seed"], 1);
  int64_t folders = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "runs")) folders += entry.is_directory();
  EXPECT_EQ(folders, 2 + 3);  // two runs of the one, two and a pilot of the other
  // By how much longer the reference's pilot took than the other's, which is no run of the study.
  const auto train_seconds = [&](const std::filesystem::path& run) {
    std::string log = ReadFile(run / "run.jsonl");
    log.pop_back();
    return nlohmann::json::parse(log.substr(log.rfind('\n') + 1))["train_seconds"].get<double>();
  };
  std::set<std::string> of_the_study;
  for (const auto& variant : json["variants"]) {
    for (const auto& run : variant["runs"])
      of_the_study.insert(std::filesystem::path(run["folder"].get<std::string>()).filename());
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "runs")) {
    if (!entry.is_directory() || of_the_study.contains(entry.path().filename())) continue;
    const double factor = train_seconds(folder_ / pilot["folder"].get<std::string>()) / train_seconds(entry.path());
    EXPECT_NEAR(json["variants"][1]["examples"].get<double>(), 40 * 150 * factor, 1);
  }
}

TEST_F(CompareTest, WhatCrashedIsToldEveryTime) {
  WriteStudy("");
  ASSERT_EQ(Call({"compare", "study.toml"}).exit_code, 0);
  const auto json = nlohmann::json::parse(Call({"report", "study.toml", "--format", "json"}).output);
  const std::string run = json["variants"][1]["runs"][0]["folder"];
  std::filesystem::remove(folder_ / (run + "/run.jsonl"));
  folder_.Write(run + "/crash.txt", "signal 11 (Segmentation fault)\n");
  for (int time = 0; time < 2; ++time) {
    const auto again = Call({"compare", "study.toml"});
    EXPECT_EQ(again.exit_code, 1);
    EXPECT_THAT(again.errors, HasSubstr("crescendo: 1 run crashed; --retry-failed runs it again\n"));
  }
  EXPECT_EQ(Call({"compare", "study.toml", "--retry-failed"}).exit_code, 0);
}

TEST_F(CompareTest, WhatCannotWorkInOneVariantDoesNotHideWhatThereIs) {
  WriteStudy("");
  ASSERT_EQ(Call({"compare", "study.toml"}).exit_code, 0);
  WriteStudy("", "[variants.bad]\ndata.ignored_columns = [0, 1]\n");  // seen once the table is read
  const auto study = Call({"compare", "study.toml", "--jobs", "1"});
  EXPECT_EQ(study.exit_code, 2);
  EXPECT_THAT(study.output, HasSubstr("Beside decay"));
  EXPECT_THAT(study.errors, ::testing::ContainsRegex("crescendo: bad, seed [12]: "));
  EXPECT_THAT(study.errors, Not(HasSubstr(": crescendo: ")));
}

TEST_F(CompareTest, ReportsAreWrittenInTheFormatOfTheNamesEnding) {
  WriteStudy("");
  ASSERT_EQ(Call({"compare", "study.toml"}).exit_code, 0);
  const std::vector<std::pair<std::string, std::string>> beginnings = {{"a.md", "# study\n"},
                                                                       {"a.csv", "variant,seed,"},
                                                                       {"a.json", "{\"format_version\":1,"},
                                                                       {"a.html", "<!doctype html>"}};
  for (const auto& [name, beginning] : beginnings) {
    ASSERT_EQ(Call({"report", "study.toml", "--out", name}).exit_code, 0);
    EXPECT_THAT(ReadFile(folder_ / name), ::testing::StartsWith(beginning));
  }
  ASSERT_EQ(Call({"report", "study.toml", "--format", "csv", "--out", "a.txt"}).exit_code, 0);
  EXPECT_THAT(ReadFile(folder_ / "a.txt"), ::testing::StartsWith("variant,"));
  const auto unknown = Call({"report", "study.toml", "--out", "a.pdf"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.errors, HasSubstr("a name that ends in .html, .md, .csv or .json"));
  EXPECT_EQ(Call({"report", "study.toml", "--workers", "5"}).exit_code, 0);
  const auto no_run = Call({"report", "runs"});
  EXPECT_EQ(no_run.exit_code, 2);
  EXPECT_THAT(no_run.errors, HasSubstr("runs holds runs and is none"));
}

TEST_F(CompareTest, RunsOnDifferentDataGetNoVerdict) {
  for (const std::string test_examples : {"50", "40"}) {
    ASSERT_EQ(Call({"train", "base.toml", "data.test_examples=" + test_examples, "--out", test_examples}).exit_code, 0);
  }
  for (const auto& format : {"table", "md"}) {
    const auto report = Call({"report", "50", "40", "--format", format});
    EXPECT_EQ(report.exit_code, 0) << report.errors;
    EXPECT_THAT(report.output, HasSubstr("No verdict: 50 learned "));
    EXPECT_THAT(report.output, Not(HasSubstr(" points: ")));
    EXPECT_THAT(report.output, Not(HasSubstr("Beside")));
  }
}

TEST_F(CompareTest, RunsAgainOnAChangedTableAndSaysWhy) {
  WriteStudy("");
  const auto first = Call({"compare", "study.toml"});
  ASSERT_EQ(first.exit_code, 0) << first.errors;
  EXPECT_THAT(first.errors, Not(HasSubstr("warning")));
  folder_.Write("table.csv", ReadFile(folder_ / "table.csv") + "1,2,below\n");
  const std::string warning = "crescendo: warning: runs holds 4 runs of these settings, made when the content of ";
  EXPECT_THAT(Call({"compare", "study.toml", "--list"}).errors, HasSubstr(warning));
  EXPECT_THAT(Call({"report", "study.toml"}).errors, HasSubstr("table.csv was other than it is now"));
  const auto again = Call({"compare", "study.toml"});
  EXPECT_EQ(again.exit_code, 0) << again.errors;
  EXPECT_THAT(again.errors, ::testing::StartsWith(warning));
  EXPECT_EQ(Call({"compare", "study.toml", "--list"}).errors, "");
}

TEST_F(CompareTest, MistakesAreToldAndNothingIsRun) {
  WriteStudy("sedes = 3");
  const auto unknown = Call({"compare", "study.toml"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.errors, HasSubstr("study.toml:4:1: sedes is not a key of a study; did you mean seeds?"));
  WriteStudy("");
  const auto no_data = Call({"compare", "study.toml", "data.train_file=missing.csv"});
  EXPECT_EQ(no_data.exit_code, 2);
  EXPECT_THAT(no_data.errors, HasSubstr("missing.csv"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "runs"));
}

}  // namespace
}  // namespace crescendo
