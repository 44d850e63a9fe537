// crescendo train, eval and predict: what a run leaves behind, and that its numbers come back.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <sstream>

#include "tests/cli/program.h"

namespace crescendo::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using support::ProcessResult;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

class TrainCommand : public ProgramTest {};

struct Evaluated {
  int examples = 0;
  double loss = 0;
  double accuracy = 0;
};

// The memory kept for the ghosts of an earlier batch does not stay beside that of the present one.
TEST_F(TrainCommand, PeakMemoryIsThatOfTheLargestMicroBatch) {
  folder_.Write("images.toml", R"(
[data]
name = "synthetic"
train_examples = 1024
test_examples = 64
[model]
name = "wide_resnet"
depth = 10
width = 1
ghost_batch = 64
[reference]
global_batch = 64
learning_rate = 0.1
shape = "step"
boundaries = ["1ep", "2ep"]
factor = 0.75
[schedule]
length = "3ep"
max_batch = "none"
[run]
device = "cpu"
threads = 1
micro_batch = 64
evaluate_every = "100ep"
)");
  const auto peak_of = [&](const std::vector<std::string>& changes) {
    std::vector<std::string> arguments = {"train", "images.toml", "--out", "run", "--force"};
    arguments.insert(arguments.end(), changes.begin(), changes.end());
    const ProcessResult result = Crescendo(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return static_cast<double>(result.peak_memory);
  };
  const double growing = peak_of({});  // 64, 85 and 114: one ghost each
  const double largest = peak_of({"reference.shape=constant", "reference.global_batch=114", "schedule.length=1ep"});
  EXPECT_LT(growing, 1.03 * largest);
}

TEST_F(TrainCommand, LeavesConfigPlanLogEventsAndWeights) {
  TrainSmall();
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder_ / "run")) names.push_back(entry.path().filename().string());
  EXPECT_THAT(names, ::testing::UnorderedElementsAre("config.toml", "plan.json", "run.jsonl", "events", "checkpoints",
                                                     "weights.safetensors"));
  EXPECT_EQ(Read("run/config.toml"), "# crescendo run\n" + Crescendo({"config", "small.toml"}).output);
  EXPECT_EQ(Read("run/plan.json"), Crescendo({"plan", "small.toml", "--format", "json"}).output);

  const std::vector<json> log = Log();
  EXPECT_EQ(log.front()["type"], "header");
  EXPECT_EQ(log.front()["config_toml"], Crescendo({"config", "small.toml"}).output);
  EXPECT_EQ(log.back()["type"], "footer");
  EXPECT_EQ(log.back()["end"], "finished");
  int64_t updates = 0;
  int64_t evaluations = 0;
  const std::vector<std::string> planned =
      Lines(Crescendo({"plan", "small.toml", "--updates", "--format", "json"}).output);
  for (const json& record : log) {
    evaluations += record["type"] == "evaluation";
    if (record["type"] != "update") continue;
    const json plan = json::parse(planned.at(static_cast<size_t>(updates++)));
    for (const char* key : {"global_batch", "learning_rate", "momentum", "noise_scale"}) {
      EXPECT_EQ(record[key], plan[key]) << key << " of update " << updates;
    }
  }
  EXPECT_EQ(updates, 83);
  EXPECT_EQ(evaluations, 4);
  EXPECT_GT(log.back()["final_evaluation"]["test_accuracy"], 0.7);  // of three classes
}

TEST_F(TrainCommand, PrintsPlainLinesWhereThereIsNoTerminal) {
  const ProcessResult result = Crescendo({"train", "small.toml", "--out", "run"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.errors, Not(HasSubstr("\r")));
  EXPECT_THAT(result.errors, Not(HasSubstr("\x1b")));
  const std::vector<std::string> lines = Lines(result.errors);
  EXPECT_THAT(
      lines.front(),
      MatchesRegex(
          "training [0-9]+ parameters on cpu .*1 thread.* for 4 epochs, 83 updates, in micro-batches of [0-9]+"));
  EXPECT_THAT(result.errors, AllOf(HasSubstr("phase 2/3"), HasSubstr("batch 16"), HasSubstr("images/s")));
  EXPECT_THAT(lines.back(), StartsWith("finished after 83 updates, 960 examples, "));
  EXPECT_THAT(result.output, MatchesRegex("test accuracy [0-9.]+ %, loss [0-9.]+, 83 updates, run\n"));
}

TEST_F(TrainCommand, WithoutOutTakesTheNextFreeName) {
  for (const char* expected : {"runs/small-001", "runs/small-002"}) {
    const ProcessResult result = Crescendo({"train", "small.toml", "schedule.length=1ep", "reference.shape=constant"});
    ASSERT_EQ(result.exit_code, 0) << result.errors;
    EXPECT_THAT(result.output, EndsWith(std::string(", ") + expected + "\n"));
    EXPECT_TRUE(Exists(std::string(expected) + "/weights.safetensors"));
  }
}

TEST_F(TrainCommand, ReplacesARunOnlyWhenTold) {
  TrainSmall();
  folder_.Write("run/notes.txt", "mine");
  const std::string log = Read("run/run.jsonl");
  const ProcessResult refused = Crescendo({"train", "small.toml", "--out", "run", "run.seed=2"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.errors,
              StartsWith("crescendo: run already holds a run (config.toml); choose another --out, or --force"));
  EXPECT_EQ(Read("run/run.jsonl"), log);
  const ProcessResult forced = Crescendo({"train", "small.toml", "--out", "run", "--force", "run.seed=2"});
  EXPECT_EQ(forced.exit_code, 0) << forced.errors;
  EXPECT_THAT(Read("run/config.toml"), HasSubstr("seed = 2"));
  EXPECT_EQ(Read("run/notes.txt"), "mine");
  const ProcessResult branch = Crescendo({"resume", "run", "--branch", "run"});
  EXPECT_EQ(branch.exit_code, 2);
  EXPECT_EQ(branch.errors, "crescendo: run already holds a run (config.toml); choose another --branch\n");
}

TEST_F(TrainCommand, ForceRemovesOnlyWhatARunWrites) {
  TrainSmall();
  const std::vector<std::string> mine = {"checkpoints/model.safetensors", "checkpoints/12.json", "events/notes.txt",
                                         "events/by_updates/events.out.tfevents.1.other", "data/table.csv"};
  for (const std::string& name : mine) folder_.Write("run/" + name, "mine");
  folder_.Write("run/checkpoints/000000009999.json.damaged", "");
  const auto events = [&] {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_ / "run/events/by_examples")) names.push_back(entry.path());
    return names;
  };
  const std::vector<std::string> before = events();
  ASSERT_EQ(before.size(), 1);
  const ProcessResult forced = Crescendo({"train", "small.toml", "--out", "run", "--force", "schedule.length=3ep",
                                          "reference.boundaries=['1ep']", "checkpoint.at_end=false"});
  EXPECT_EQ(forced.exit_code, 0) << forced.errors;
  for (const std::string& name : mine) EXPECT_EQ(Read("run/" + name), "mine");
  EXPECT_FALSE(Exists("run/checkpoints/000000009999.json.damaged"));
  EXPECT_FALSE(Exists("run/checkpoints/000000000960.json")) << "of the old run, that was longer";
  EXPECT_EQ(events().size(), 1);
  EXPECT_NE(events(), before);
}

TEST_F(TrainCommand, AFolderThatOnlyHasFilesOfSuchNamesIsNeverReplaced) {
  for (const char* name :
       {"config.toml", "plan.json", "run.jsonl", "weights.safetensors", "events/mine", "checkpoints/mine"}) {
    const std::string folder = std::string("of_") + name[0] + name[1];
    folder_.Write(folder + "/" + name, "mine");
    const std::string shown = fs::path(name).begin()->string();
    for (const char* force : {"", "--force"}) {
      std::vector<std::string> arguments = {"train", "small.toml", "--out", folder};
      if (*force != '\0') arguments.emplace_back(force);
      const ProcessResult refused = Crescendo(arguments);
      EXPECT_EQ(refused.exit_code, 2);
      EXPECT_EQ(refused.errors, "crescendo: " + folder + " holds " + shown +
                                    ", which is of no run, and a run would write over it; choose another --out, or "
                                    "move it away\n");
    }
    EXPECT_EQ(Read(folder + "/" + name), "mine");
  }
}

// Killed between its first two files, it has no log yet.
TEST_F(TrainCommand, ForceReplacesARunThatHadHardlyBegun) {
  TrainSmall();
  const std::string config = Read("run/config.toml");
  folder_.Write("killed/config.toml", config);
  folder_.Write("killed/plan.json.part", "{");
  const ProcessResult again = Crescendo({"train", "small.toml", "--out", "killed", "--force"});
  EXPECT_EQ(again.exit_code, 0) << again.errors;
  EXPECT_EQ(Read("killed/config.toml"), config);
  EXPECT_FALSE(Exists("killed/plan.json.part"));
}

TEST_F(TrainCommand, ForceDoesNotRemoveTheConfigItWasGiven) {
  TrainSmall();
  folder_.Write("based.toml", "base = 'run/config.toml'\n");
  const std::string log = Read("run/run.jsonl");
  for (const char* config : {"run/config.toml", "based.toml"}) {
    const ProcessResult refused = Crescendo({"train", config, "--out", "run", "--force"});
    EXPECT_EQ(refused.exit_code, 2);
    EXPECT_THAT(refused.errors, StartsWith("crescendo: run/config.toml says how to train, and --force would remove it "
                                           "with the run in run; copy it elsewhere"));
  }
  EXPECT_EQ(Read("run/run.jsonl"), log);
}

TEST_F(TrainCommand, DoesNotReplaceARunByOneThatCannotStart) {
  TrainSmall();
  const std::string weights = Read("run/weights.safetensors");
  const ProcessResult result =
      Crescendo({"train", "small.toml", "--out", "run", "--force", "data.train_file=gone.csv"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(Read("run/weights.safetensors"), weights);
}

TEST_F(TrainCommand, OutMayBeDeepASymlinkOrNoFolderAtAll) {
  const auto train = [&](const std::string& out) {
    return Crescendo({"train", "small.toml", "--out", out, "schedule.length=1ep", "reference.shape=constant"});
  };
  EXPECT_EQ(train("a/b/c").exit_code, 0);
  EXPECT_TRUE(Exists("a/b/c/weights.safetensors"));
  fs::create_directory(folder_ / "disk");
  fs::create_directory_symlink("disk", folder_ / "link");
  EXPECT_EQ(train("link").exit_code, 0);
  EXPECT_TRUE(Exists("disk/weights.safetensors"));
  EXPECT_EQ(train("link").exit_code, 2);

  const ProcessResult file = train("table.csv");
  EXPECT_EQ(file.exit_code, 2);
  EXPECT_THAT(file.errors, HasSubstr("table.csv is a file; --out takes the folder for the run"));
  const ProcessResult below_file = train("table.csv/run");
  EXPECT_EQ(below_file.exit_code, 2);
  EXPECT_THAT(below_file.errors, HasSubstr("table.csv/run cannot be the folder for the run: table.csv is a file"));
  const ProcessResult long_name = train(std::string(300, 'x'));
  EXPECT_EQ(long_name.exit_code, 2);
  EXPECT_THAT(long_name.errors,
              AllOf(HasSubstr("cannot be the folder for the run: File name too long"), IsForPeople()));
}

TEST_F(TrainCommand, EvalGivesTheNumbersOfTheRunsLastLine) {
  TrainSmall();
  const json last = Log().back()["final_evaluation"];
  const std::string expected = [&] {
    char text[100];
    std::snprintf(text, sizeof text, "test examples 60, loss %.6f, accuracy %.2f %%\n", last["test_loss"].get<double>(),
                  100 * last["test_accuracy"].get<double>());
    return std::string(text);
  }();
  EXPECT_EQ(Crescendo({"eval", "run"}).output, expected);
  EXPECT_EQ(Crescendo({"eval", "run/weights.safetensors"}).output, expected);
  fs::rename(folder_ / "run/weights.safetensors", folder_ / "elsewhere.safetensors");
  fs::remove_all(folder_ / "run");
  EXPECT_EQ(Crescendo({"eval", "elsewhere.safetensors"}).output, expected);

  fs::rename(folder_ / "table.csv", folder_ / "moved.csv");
  const ProcessResult lost = Crescendo({"eval", "elsewhere.safetensors"});
  EXPECT_EQ(lost.exit_code, 2);
  EXPECT_THAT(lost.errors, AllOf(HasSubstr("table.csv: No such file"), IsForPeople()));
  EXPECT_EQ(Crescendo({"eval", "elsewhere.safetensors", "data.train_file=moved.csv"}).output, expected);
}

TEST_F(TrainCommand, EvalAndDigestSayThatTheDataHaveChanged) {
  TrainSmall();
  const std::string table = Read("table.csv");
  EXPECT_EQ(Crescendo({"eval", "run"}).errors, "");
  EXPECT_EQ(Crescendo({"digest", "run"}).errors, "");
  const std::string warning = "crescendo: warning: these are not the data that the run was trained on; what differs: ";
  folder_.Write("table.csv", "9" + table);  // a train row, and what was measured on it is in the weights
  EXPECT_EQ(Crescendo({"eval", "run"}).errors, "");
  folder_.Write("table.csv", table.substr(0, table.rfind(',')) + ",up\n");  // the last row, which is tested on
  ProcessResult evaluated = Crescendo({"eval", "run"});
  EXPECT_EQ(evaluated.errors, warning + "test set\n");
  EXPECT_EQ(Crescendo({"digest", "run"}).errors, "") << "a digest is of the order, not of what the examples are";
  folder_.Write("table.csv", table + "3,4,up\n");
  evaluated = Crescendo({"eval", "run"});
  EXPECT_EQ(evaluated.exit_code, 0);
  EXPECT_EQ(evaluated.errors, warning + "test set\n");
  EXPECT_THAT(evaluated.output, HasSubstr("test examples 60, loss "));
  EXPECT_EQ(
      Crescendo({"digest", "run"}).errors,
      "crescendo: warning: the train set had 240 examples when the run was trained and has 241 now: order and run "
      "are of these\n");
}

// Columns are scaled and classes numbered as they were for training, whatever rows are given: so the parts make up the
// whole, though each has other means and only one of the classes, and the train file is not needed.
TEST_F(TrainCommand, EvalMakesNewRowsInputsAsTheTrainRowsWere) {
  TrainSmall();
  const auto evaluate = [&](const std::vector<std::string>& changes) {
    std::vector<std::string> arguments = {"eval", "run"};
    arguments.insert(arguments.end(), changes.begin(), changes.end());
    const ProcessResult result = Crescendo(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    EXPECT_EQ(result.errors, "") << "other rows than the run's are what was asked for";
    Evaluated evaluated;
    EXPECT_EQ(std::sscanf(result.output.c_str(), "test examples %d, loss %lf, accuracy %lf", &evaluated.examples,
                          &evaluated.loss, &evaluated.accuracy),
              3)
        << result.output;
    return evaluated;
  };
  const Evaluated whole = evaluate({});
  const std::vector<std::string> rows = Lines(Read("table.csv"));
  fs::remove(folder_ / "table.csv");
  Evaluated sum;
  for (const char* label : {"right", "up", "between"}) {
    std::string part;
    int count = 0;
    for (size_t i = rows.size() - 60; i < rows.size(); ++i) {
      if (!rows[i].ends_with(label)) continue;
      part += rows[i] + "\n";
      ++count;
    }
    ASSERT_GT(count, 1) << label;
    folder_.Write("part.csv", part);
    const Evaluated of_part = evaluate({"data.test_file=part.csv"});
    EXPECT_EQ(of_part.examples, count) << "all of them, though the run tested on the last 60 of its table";
    sum.examples += count;
    sum.loss += of_part.loss * count / 60;
    sum.accuracy += of_part.accuracy * count / 60;
    EXPECT_EQ(evaluate({"data.test_file=part.csv", "data.test_examples=1"}).examples, 1);
  }
  EXPECT_EQ(sum.examples, whole.examples);
  EXPECT_NEAR(sum.loss, whole.loss, 2e-6);
  EXPECT_NEAR(sum.accuracy, whole.accuracy, 0.02);

  const ProcessResult other = Crescendo({"eval", "run", "data.test_file=part.csv", "data.ignored_columns=[0]"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.errors,
              AllOf(HasSubstr("data.ignored_columns = [0]: the weights were trained with []"), IsForPeople()));
}

// What `predict` says of each row agrees with what `eval` says of all, and no label changes it.
TEST_F(TrainCommand, PredictGivesTheClassOfEachRow) {
  TrainSmall();
  int examples = 0;
  double loss = 0;
  double accuracy = 0;
  ASSERT_EQ(std::sscanf(Crescendo({"eval", "run"}).output.c_str(), "test examples %d, loss %lf, accuracy %lf",
                        &examples, &loss, &accuracy),
            3);
  const ProcessResult predicted = Crescendo({"predict", "run", "--probabilities"});
  EXPECT_EQ(predicted.exit_code, 0) << predicted.errors;
  const std::vector<std::string> lines = Lines(predicted.output);
  ASSERT_EQ(lines.size(), 61);
  EXPECT_EQ(lines[0], "example,class,probability,label,probability of between,probability of right,probability of up");
  const std::map<std::string, size_t> column_of = {{"between", 4}, {"right", 5}, {"up", 6}};
  const std::vector<std::string> rows = Lines(Read("table.csv"));
  std::string unlabelled;
  int right = 0;
  double sum = 0;
  for (size_t i = 0; i < 60; ++i) {
    std::vector<std::string> fields;
    std::istringstream line(lines[i + 1]);
    for (std::string field; std::getline(line, field, ',');) fields.push_back(field);
    ASSERT_EQ(fields.size(), 7) << lines[i + 1];
    EXPECT_EQ(fields[0], std::to_string(i));
    const std::string& row = rows[240 + i];
    EXPECT_EQ(fields[3], row.substr(row.rfind(',') + 1));
    EXPECT_EQ(fields[2], fields[column_of.at(fields[1])]);
    EXPECT_NEAR(std::stod(fields[4]) + std::stod(fields[5]) + std::stod(fields[6]), 1, 1e-5);
    for (const auto& [name, column] : column_of) EXPECT_LE(std::stod(fields[column]), std::stod(fields[2]));
    right += fields[1] == fields[3] ? 1 : 0;
    sum -= std::log(std::stod(fields[column_of.at(fields[3])]));
    unlabelled += row.substr(0, row.rfind(',')) + "\n";
  }
  EXPECT_NEAR(100.0 * right / 60, accuracy, 0.006);
  EXPECT_NEAR(sum / 60, loss, 1e-4);

  folder_.Write("new.csv", unlabelled);
  fs::remove(folder_ / "table.csv");
  const ProcessResult other = Crescendo({"predict", "run", "data.test_file=new.csv", "--out", "classes.csv"});
  EXPECT_EQ(other.exit_code, 0) << other.errors;
  EXPECT_EQ(other.output, "");
  const std::vector<std::string> of_new = Lines(Read("classes.csv"));
  ASSERT_EQ(of_new.size(), 61);
  EXPECT_EQ(of_new[0], "example,class,probability");
  for (size_t i = 1; i < lines.size(); ++i) EXPECT_THAT(lines[i], StartsWith(of_new[i] + ","));

  // Its own file is written again; no other.
  const auto predict_into = [&](const std::string& out) {
    return Crescendo({"predict", "run", "data.test_file=new.csv", "--out", out});
  };
  EXPECT_EQ(predict_into("classes.csv").exit_code, 0);
  for (const std::string out : {"new.csv", "small.toml"}) {
    const ProcessResult overwriting = predict_into(out);
    EXPECT_EQ(overwriting.exit_code, 2);
    EXPECT_EQ(overwriting.errors, "crescendo: --out " + out +
                                      ": there is such a file, which crescendo has not made; give "
                                      "another name\n");
  }
  EXPECT_EQ(Read("new.csv"), unlabelled);
}

// Names are needed to say which columns are which, once. The run's number of test rows is of its own test file.
TEST_F(TrainCommand, EvalTakesRowsWithoutNamesWhereTheRunHadNames) {
  const std::string rows = Read("table.csv");
  folder_.Write("named.csv", "x,y,side\n" + rows);
  std::string config = Read("small.toml");
  config.replace(config.find("table.csv"), 9, "named.csv");
  folder_.Write("named.toml", config);
  const std::vector<std::string> names = {"data.header=true", "data.label_column=\"side\"", "data.test_file=named.csv",
                                          "data.test_examples=40"};
  std::vector<std::string> train = {"train", "named.toml", "--out", "run"};
  train.insert(train.end(), names.begin(), names.end());
  const ProcessResult trained = Crescendo(train);
  ASSERT_EQ(trained.exit_code, 0) << trained.errors;
  folder_.Write("rows.csv", rows);
  const ProcessResult named = Crescendo({"eval", "run", "data.test_file=named.csv"});
  const ProcessResult nameless = Crescendo({"eval", "run", "data.test_file=rows.csv", "data.header=false"});
  EXPECT_EQ(nameless.exit_code, 0) << nameless.errors;
  EXPECT_EQ(nameless.output, named.output);
  EXPECT_THAT(named.output, HasSubstr("test examples 300, "));
}

// The weights with another text under `key` of their metadata, or without the key.
std::string WithMetadata(const std::string& weights, const char* key, const char* text) {
  uint64_t length = 0;
  std::memcpy(&length, weights.data(), sizeof length);
  json header = json::parse(weights.substr(sizeof length, length));
  json& metadata = header["__metadata__"];
  EXPECT_TRUE(metadata.contains(key));
  metadata.erase(key);
  if (text != nullptr) metadata[key] = text;
  std::string changed = header.dump();
  changed.resize((changed.size() + 7) / 8 * 8, ' ');
  const uint64_t new_length = changed.size();
  return std::string(reinterpret_cast<const char*>(&new_length), sizeof new_length) + changed +
         weights.substr(sizeof length + length);
}

TEST_F(TrainCommand, EvalOfOlderWeightsMeasuresTheTableAgainAndWarns) {
  TrainSmall();
  const ProcessResult ordinary = Crescendo({"eval", "run"});
  const std::string weights = Read("run/weights.safetensors");
  folder_.Write("run/weights.safetensors", WithMetadata(weights, "crescendo.table", nullptr));
  const ProcessResult older = Crescendo({"eval", "run"});
  EXPECT_EQ(older.output, ordinary.output);
  EXPECT_THAT(older.errors, AllOf(StartsWith("crescendo: warning: run/weights.safetensors was written before weights "
                                             "held how their table was encoded"),
                                  HasSubstr("the results are wrong")));
  folder_.Write("run/weights.safetensors", WithMetadata(weights, "crescendo.table", "{}"));
  const ProcessResult damaged = Crescendo({"eval", "run"});
  EXPECT_EQ(damaged.exit_code, 2);
  EXPECT_THAT(damaged.errors, AllOf(HasSubstr("run/weights.safetensors: its metadata \"crescendo.table\" cannot be "
                                              "understood: something is missing"),
                                    IsForPeople()));
}

TEST_F(TrainCommand, WarnsOfAFirstRowThatLooksLikeAHeader) {
  std::string table = "where,class\n";
  for (int i = 0; i < 300; ++i) table += i % 3 == 0 ? "here,a\n" : "there,b\n";
  folder_.Write("table.csv", table);
  const std::vector<std::string> arguments = {"train", "small.toml", "--out", "run", "data.categorical_columns=[0]"};
  const ProcessResult result = Crescendo(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.errors, HasSubstr("crescendo: warning: the first row of "));
  EXPECT_THAT(result.errors, HasSubstr("table.csv looks like the columns' names"));
}

TEST_F(TrainCommand, EvalSaysWhatIsNoRun) {
  struct Case {
    std::vector<std::string> arguments;
    const char* message;
  };
  TrainSmall();
  folder_.Write("cut.safetensors", Read("run/weights.safetensors").substr(0, 1000));
  fs::create_directory(folder_ / "empty");
  folder_.Write("killed/run.jsonl", "");
  std::string checkpoint;
  for (const auto& entry : fs::directory_iterator(folder_ / "run/checkpoints")) {
    if (entry.path().extension() == ".safetensors") {
      checkpoint = "run/checkpoints/" + entry.path().filename().string();
    }
  }
  ASSERT_NE(checkpoint, "");
  for (const Case& wrong : std::vector<Case>{
           {{checkpoint}, " is a checkpoint; `crescendo eval /"},
           {{"nowhere"}, "cannot read nowhere: No such file or directory"},
           {{"empty"}, "cannot read empty/weights.safetensors: No such file or directory"},
           {{"killed"},
            "there is no killed/weights.safetensors: a run saves its weights when it ends, and this one has "
            "not ended; if it was killed, `crescendo resume killed` goes on with it"},
           {{"table.csv"}, "table.csv is not a safetensors file"},
           {{"cut.safetensors"}, "cut.safetensors is not a safetensors file"},
           {{"run", "model.hidden=[17]"}, "has shape [16, 2], the model needs [17, 2]"},
           {{"run", "model.hiden=[17]"}, "command line: model.hiden=[17]: model.hiden is not an option"},
       }) {
    std::vector<std::string> arguments = wrong.arguments;
    arguments.insert(arguments.begin(), "eval");
    const ProcessResult result = Crescendo(arguments);
    EXPECT_EQ(result.exit_code, 2) << wrong.message;
    EXPECT_THAT(result.errors, AllOf(HasSubstr(wrong.message), IsForPeople()));
  }
}

}  // namespace
}  // namespace crescendo::cli
