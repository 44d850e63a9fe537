// Runs that do not reach their end: stopped, failed, out of space. None loses what it had.
#include <csignal>

#include "tests/cli/program.h"

namespace crescendo::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using support::ProcessResult;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

class Stopped : public ProgramTest {
 protected:
  // A run of the small config that would take hours.
  ProcessResult TrainForever(const support::ProcessOptions& options, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"train",
                                          "small.toml",
                                          "--out",
                                          "run",
                                          "schedule.length=10000000ep",
                                          "run.evaluate_every=20ep",
                                          "run.log_every=1000"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Crescendo(arguments, options);
  }
};

TEST_F(Stopped, SigintAndSigtermEndARunWithWhatItHas) {
  for (const int number : {SIGINT, SIGTERM}) {
    support::ProcessOptions options;
    options.signals = {{number, "test "}};  // the first evaluation
    const ProcessResult result = TrainForever(options, {"--force"});
    EXPECT_EQ(result.exit_code, 128 + number);
    EXPECT_EQ(result.signal, 0);  // it ended by itself
    EXPECT_THAT(
        Lines(result.errors).back(),
        MatchesRegex(
            "crescendo: stopped by signal [0-9]+ after [0-9]+ of [0-9]+ updates; to go on: crescendo resume run"));
    const json footer = Log().back();
    EXPECT_EQ(footer["type"], "footer");
    EXPECT_EQ(footer["end"], "interrupted");
    EXPECT_GE(footer["examples"], 20 * 240);
    // The last evaluation is of the weights that were saved, or says of which update it is.
    const json& last = footer["final_evaluation"];
    EXPECT_EQ(last["updates"] != footer["updates"], result.errors.find(" at update ") != std::string::npos);
    const ProcessResult evaluated = Crescendo({"eval", "run"});
    EXPECT_EQ(evaluated.exit_code, 0) << evaluated.errors;
    EXPECT_THAT(evaluated.output, HasSubstr("test examples 60, loss "));
  }
}

// The first size takes a second to measure.
TEST_F(Stopped, WhileTheMicroBatchIsMeasuredNoneIsKeptAndResumeMeasuresAnew) {
  std::string table;
  for (int i = 0; i < 4060; ++i) table += i % 2 == 0 ? "1,2,a\n" : "2,1,b\n";
  folder_.Write("table.csv", table);
  support::ProcessOptions options;
  options.signals = {{SIGINT, "trying micro-batches"}};
  const ProcessResult result = Crescendo(
      {"train", "small.toml", "--out", "run", "run.micro_batch=auto", "model.hidden=[1000,1000]",
       "model.ghost_batch=2000", "reference.global_batch=4000", "reference.shape=constant", "schedule.length=1ep"},
      options);
  EXPECT_EQ(result.exit_code, 130);
  EXPECT_THAT(Lines(result.errors).back(),
              "crescendo: stopped by signal 2 after 0 of 1 updates; to go on: crescendo resume run");
  EXPECT_THAT(result.errors, AllOf(HasSubstr("training "), Not(HasSubstr("in micro-batches of"))));
  EXPECT_EQ(Log().front()["micro_batch"], 0);
  EXPECT_EQ(Log().back()["end"], "interrupted");
  EXPECT_TRUE(Exists("run/weights.safetensors"));
  EXPECT_EQ(json::parse(Read("run/checkpoints/000000000000.json"))["micro_batch"], 0);
  const ProcessResult resumed = Crescendo({"resume", "run"});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.errors;
  EXPECT_EQ(Log()[1]["type"], "resume");
  EXPECT_GE(Log()[1]["micro_batch"], 2000);
  EXPECT_EQ(Log().back()["end"], "finished");
}

// One update of some seconds, so that the second signal comes while the first still waits for the micro-batch to end.
TEST_F(Stopped, ASecondCtrlCEndsTheProgramAtOnce) {
  std::string table;
  for (int i = 0; i < 20'000; ++i) table += i % 2 == 0 ? "1,2,a\n" : "2,1,b\n";
  folder_.Write("table.csv", table);
  support::ProcessOptions options;
  options.signals = {{SIGINT, "training ", 300}, {SIGINT, "training ", 800}};  // nearer ones are one request
  const ProcessResult result = TrainForever(options, {"reference.global_batch=16000", "run.micro_batch=16000",
                                                      "model.ghost_batch=16000", "model.hidden=[4000,4000]"});
  EXPECT_EQ(result.signal, SIGINT);
  EXPECT_EQ(result.exit_code, 130);
  EXPECT_THAT(result.errors, Not(HasSubstr("crescendo resume")));
}

// To begin again would remove what perhaps a newer crescendo, or a disk that is back, can read.
TEST_F(Stopped, CheckpointsThatCannotBeReadAreNotRemoved) {
  support::ProcessOptions options;
  options.signals = {{SIGINT, "test "}};
  ASSERT_EQ(TrainForever(options).exit_code, 130);
  std::vector<std::string> before;
  for (const auto& entry : fs::directory_iterator(folder_ / "run/checkpoints")) {
    if (entry.path().extension() == ".json") folder_.Write("run/checkpoints/" + entry.path().filename().string(), "{}");
    before.push_back(entry.path().filename().string());
  }
  const ProcessResult result = Crescendo({"resume", "run", "--start-over"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.errors, AllOf(HasSubstr("can be read; to begin the run again, move them away"), IsForPeople()));
  for (const std::string& name : before) EXPECT_TRUE(Exists("run/checkpoints/" + name));
  EXPECT_TRUE(Exists("run/run.jsonl"));
}

TEST_F(Stopped, ALossThatIsNotANumberFailsWithItsPlaceAndKeepsTheWeights) {
  // Weights that the decay makes grow without bound: rate 1000, decay 1.
  const ProcessResult result =
      Crescendo({"train", "small.toml", "--out", "run", "reference.learning_rate=1000", "optimizer.weight_decay=1"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.errors, AllOf(HasSubstr("crescendo: the loss is "), HasSubstr(" at update "),
                                   HasSubstr("phase 1 of 3: batch 8, learning rate 1000, momentum 0.9"),
                                   HasSubstr("the last good loss was "), HasSubstr("run holds what there is"),
                                   Not(HasSubstr("-nan")), IsForPeople()));
  const json footer = Log().back();
  EXPECT_EQ(footer["end"], "failed");
  EXPECT_THAT(footer["reason"].get<std::string>(), HasSubstr("the loss is "));
  EXPECT_TRUE(Exists("run/weights.safetensors"));
  EXPECT_THAT(Crescendo({"eval", "run"}).output, HasSubstr("test examples 60"));
}

TEST_F(Stopped, OutOfSpaceIsToldAndNothingIsLeftHalfWritten) {
  struct Case {
    int64_t largest_file;
    const char* file;
  };
  for (const Case& limit : {Case{600, "config.toml"}, Case{1500, "plan.json"}, Case{9000, "run.jsonl"}}) {
    support::ProcessOptions options;
    options.largest_file = limit.largest_file;
    const ProcessResult result = Crescendo({"train", "small.toml", "--out", "run", "--force"}, options);
    EXPECT_EQ(result.exit_code, 1) << limit.file;
    EXPECT_EQ(result.signal, 0) << limit.file;
    EXPECT_THAT(result.errors,
                AllOf(HasSubstr(std::string("cannot write run/") + limit.file + ": File too large"), IsForPeople()));
    EXPECT_FALSE(Exists("run/config.toml.part") || Exists("run/plan.json.part"));
  }
  EXPECT_EQ(Crescendo({"eval", "run"}).exit_code, 0);  // the log was too large, the weights were not
}

TEST_F(Stopped, AReaderOfTheProgressThatGoesAwayDoesNotEndTheRun) {
  support::ProcessOptions options;
  options.output_file = "/dev/full";
  const ProcessResult result = support::RunProcess(
      {"sh", "-c", std::string("'") + CRESCENDO_PROGRAM + "' train small.toml --out run 2>&1 | head -n 1"},
      {.folder = folder_.path().string()});
  EXPECT_EQ(Lines(result.output).size(), 1);
  EXPECT_EQ(Log().back()["end"], "finished");
  EXPECT_EQ(Crescendo({"train", "small.toml", "--out", "other"}, options).exit_code, 0);
}

TEST_F(Stopped, AFolderThatCannotBeWrittenIsToldBeforeTheTraining) {
  const std::filesystem::path closed = folder_ / "closed";
  std::filesystem::create_directory(closed);
  std::filesystem::permissions(closed, std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  // root may write everywhere, but for the kernel's own folders.
  const std::string out = ::geteuid() == 0 ? "/proc/run" : "closed/run";
  const ProcessResult result = Crescendo({"train", "small.toml", "--out", out});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.errors,
              AllOf(HasSubstr("crescendo: " + out + " cannot be the folder for the run: no file can be made in "),
                    IsForPeople()));
  EXPECT_EQ(Lines(result.errors).size(), 1);
  std::filesystem::permissions(closed, std::filesystem::perms::owner_all);
}

}  // namespace
}  // namespace crescendo::cli
