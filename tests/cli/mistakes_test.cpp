// What a user can get wrong: each message names what was given, where, and what would work; the exit code is 2, and
// nothing was changed.
#include <cstring>

#include "tests/cli/program.h"

namespace crescendo::cli {
namespace {

using support::ProcessResult;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct Mistake {
  const char* config;  // on top of small.toml, from line 2 on
  std::vector<std::string> overrides;
  const char* message;  // what it begins with, after "crescendo: "
};

class Mistakes : public ProgramTest {
 protected:
  void Expect(const std::string& command, const Mistake& mistake) const {
    folder_.Write("mistake.toml", std::string("base = 'small.toml'\n") + mistake.config);
    std::vector<std::string> arguments = {command, "mistake.toml"};
    arguments.insert(arguments.end(), mistake.overrides.begin(), mistake.overrides.end());
    const ProcessResult result = Crescendo(arguments);
    EXPECT_EQ(result.exit_code, 2) << mistake.message;
    EXPECT_THAT(result.errors, AllOf(StartsWith(std::string("crescendo: ") + mistake.message), IsForPeople()));
    EXPECT_EQ(result.output, "");
    EXPECT_FALSE(Exists("runs")) << mistake.message;
  }
};

TEST_F(Mistakes, OfAConfigAreToldWithTheirPlace) {
  // One of each kind; all messages are tested in crescendo/config.
  for (const Mistake& mistake : std::vector<Mistake>{
           {"[schedule]\nmax_bach = 9",
            {},
            "mistake.toml:3:1: schedule.max_bach is not an option; did you mean schedule.max_batch?"},
           {"[model]\nhidden = [8, true]",
            {},
            "mistake.toml:3:10: model.hidden = [8, true]: item 2, true: it must be a whole number"},
           {"[reference]\nmomentum = 1.5",
            {},
            "mistake.toml:3:12: reference.momentum = 1.5: it must be from 0 to 0.99999"},
           {"[schedule]\nlength = 200ep", {}, "mistake.toml:3:"},
           {"[schedule]\nlength = '3ep'\nlength = '4ep'", {}, "mistake.toml:4:"},
           {"[reference]\nperiod = '1ep'",
            {},
            "mistake.toml:3:1: reference.period means something only with reference.shape = exponential or restarts, "
            "but reference.shape = step"},
           {"[reference]\nglobal_batch = 500",
            {},
            "mistake.toml:3:1: reference.global_batch = 500 is more than the 240 training examples"},
           {"[data]\ntrain_examples = 241", {}, "mistake.toml:3:1: data.train_examples = 241: "},
           {"[data]\nlabel_column = 7", {}, "mistake.toml:3:1: data.label_column names column 7, but "},
           {"[data]\ncategorical_columns = [9]", {}, "mistake.toml:3:1: data.categorical_columns names column 9, but "},
           {"[model]\nname = 'mpl'", {}, "mistake.toml:3:8: model.name = \"mpl\": it must be one of mlp, wide_resnet"},
           {"[model]\nname = 'wide_resnet'",
            {},
            "mistake.toml:3:1: model.name = wide_resnet takes images, and data.name = csv is a table"},
           {"[schedule]\nat_cap = 'error'\nmax_batch = 16",
            {},
            "mistake.toml:4:1: the schedule wants a batch of 32 at example 720"},
           {"",
            {"reference.boundaries=['1ep','200sp']"},
            "command line: reference.boundaries=['1ep','200sp']: reference.boundaries: positions must increase"},
           {"", {"schedule.max_batch=99999999999999999999"}, "command line: schedule.max_batch=99999999999999999999: "},
           {"", {"=9"}, "command line: =9: an option is set by section.key=value without spaces, such as "},
           {"", {"schedule.max_batch", "=", "100"}, "command line: =: an option is set by section.key=value without "},
           {"",
            {"schedule.length=9999999999999999ep"},
            "command line: schedule.length=9999999999999999ep: schedule.length: 10000000000000000ep is not a place"},
       }) {
    Expect("plan", mistake);
  }
  Expect("train", {"[schedule]\nmax_bach = 9", {}, "mistake.toml:3:1: schedule.max_bach is not an option"});
}

TEST_F(Mistakes, OfATrainCommandChangeNothing) {
  Expect("train", {"", {"small.toml"}, "command line: small.toml: an option is set by section.key=value"});
  Expect("train", {"[data]\nname = 'cifar10'\nfolder = 'sets'",
                   {},
                   "there is no sets/cifar-10-batches-bin/data_batch_1.bin; `crescendo "
                   "fetch cifar10 --to sets` gets the data set"});
  folder_.Write("table.csv", "1,2,a\n3,x,b\n1,2,a\n");
  Expect("train", {"",
                   {"data.test_examples=1", "reference.global_batch=1"},
                   (std::filesystem::canonical(folder_.path()) / "table.csv, line 2").c_str()});
}

TEST_F(Mistakes, OfAFlagAreToldWithTheNearestOne) {
  struct Case {
    std::vector<std::string> arguments;
    const char* message;
  };
  for (const Case& wrong : std::vector<Case>{
           {{"train", "small.toml", "--rank", "2"}, "crescendo train: there is no --rank; did you mean --ranks?\n"},
           {{"train", "--resarts=2"}, "crescendo train: there is no --resarts; did you mean --restarts?\n"},
           {{"plan", "small.toml", "--colour"}, "crescendo plan: there is no --colour\n"},
           {{"--verson"}, "crescendo: there is no --verson; did you mean --version?\n"},
       }) {
    const ProcessResult result = Crescendo(wrong.arguments);
    EXPECT_EQ(result.exit_code, 2) << wrong.message;
    EXPECT_THAT(result.errors, AllOf(StartsWith(wrong.message), IsForPeople()));
  }
}

TEST_F(Mistakes, AskingForAGpuWhereThereIsNoneSaysWhatWasFound) {
  support::ProcessOptions hidden;
  hidden.environment["CUDA_VISIBLE_DEVICES"] = "";
  const ProcessResult result = Crescendo({"train", "small.toml", "run.device=cuda"}, hidden);
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.errors, AllOf(StartsWith("crescendo: run.device = cuda cannot be used: "),
                                   HasSubstr("run.device = auto or cpu trains on the CPU"), IsForPeople()));
  EXPECT_FALSE(Exists("runs"));
  const ProcessResult automatic = Crescendo({"train", "small.toml", "run.device=auto"}, hidden);
  EXPECT_EQ(automatic.exit_code, 0) << automatic.errors;
  EXPECT_THAT(automatic.errors, HasSubstr(" on cpu ("));
}

// One rule for all commands: what is found before the work is 2.
TEST_F(Mistakes, WhereNothingCanBeWrittenIsFoundBeforeTheWork) {
  TrainSmall();
  std::filesystem::create_directory(folder_ / "folder.md");
  struct Case {
    std::vector<std::string> arguments;
    const char* message;
  };
  for (const Case& wrong : std::vector<Case>{
           {{"plan", "small.toml", "--chart", "none/p.svg"}, "--chart none/p.svg: there is no folder none\n"},
           {{"plan", "small.toml", "--chart", "table.csv/p.svg"},
            "--chart table.csv/p.svg: table.csv is a file and no folder\n"},
           {{"plan", "small.toml", "--chart", "/proc/p.svg"}, "--chart /proc/p.svg: no file can be made in /proc: "},
           {{"report", "run", "--out", "none/r.html"}, "--out none/r.html: there is no folder none\n"},
           {{"report", "run", "--out", "folder.md"}, "--out folder.md: it is a folder; give a name in it\n"},
           {{"profile", "small.toml", "--trace", "/proc/t.json"},
            "--trace /proc/t.json: no file can be made in /proc: "},
           {{"profile", "small.toml", "--force", "--trace", "folder.md"}, "--trace folder.md: it is a folder"},
           {{"train", "small.toml", "--out", "table.csv"}, "table.csv is a file; --out takes the folder for the run\n"},
           {{"train", "small.toml", "--out", "/proc/run", "--force"},
            "/proc/run cannot be the folder for the run: no file can be made in /proc: "},
           {{"resume", "run", "--branch", "table.csv"}, "table.csv is a file; --branch takes the folder for the run\n"},
           {{"resume", "run", "--branch", "/proc/run"}, "/proc/run cannot be the folder for the run: "},
           {{"fetch", "mnist", "--to", "table.csv"}, "--to table.csv: Not a directory\n"},
           {{"fetch", "mnist", "--to", "/proc/none"}, "--to /proc/none: "},
           {{"eval", std::string(300, 'x')}, ": File name too long\n"},
           {{"plan", std::string(300, 'x')}, ": File name too long\n"},
       }) {
    const ProcessResult result = Crescendo(wrong.arguments);
    EXPECT_EQ(result.exit_code, 2) << wrong.message << result.errors;
    EXPECT_THAT(result.errors, AllOf(StartsWith("crescendo: "), HasSubstr(wrong.message), IsForPeople()));
    EXPECT_THAT(result.errors, Not(HasSubstr(".part")));
    EXPECT_EQ(Lines(result.errors).size(), 1) << result.errors;
    EXPECT_EQ(result.output, "");
  }
  folder_.Write("study.toml",
                "base = 'small.toml'\nruns = 'table.csv/runs'\n[variants.a]\n[variants.b]\nschedule.max_batch = 16\n");
  const ProcessResult study = Crescendo({"compare", "study.toml"});
  EXPECT_EQ(study.exit_code, 2);
  EXPECT_EQ(Lines(study.errors).back(), "crescendo: cannot make the folder table.csv/runs: Not a directory");
}

TEST_F(Mistakes, OneKindOfFileInThePlaceOfAnotherIsToldWithWhatTakesIt) {
  folder_.Write("study.toml", "base = 'small.toml'\n[variants.a]\n[variants.b]\n");
  for (const char* name : {"d", "b", "c", "a"}) folder_.Write(std::string("runs/") + name + "/run.jsonl", "");
  for (const char* command : {"plan", "train", "config", "profile"}) {
    EXPECT_EQ(Crescendo({command, "study.toml"}).errors,
              "crescendo: study.toml:2:1: variants make this a study, and a config is wanted; `crescendo compare "
              "study.toml` runs it\n");
  }
  EXPECT_EQ(Crescendo({"compare", "small.toml"}).errors,
            "crescendo: small.toml is a config, and a study is wanted, which has [variants]; `crescendo train "
            "small.toml` trains it\n");
  for (const char* command : {"eval", "predict", "digest", "resume"}) {
    const ProcessResult config = Crescendo({command, "small.toml"});
    EXPECT_EQ(config.exit_code, 2);
    EXPECT_EQ(config.errors,
              "crescendo: small.toml is a config and no run; `crescendo train small.toml` makes one and prints its "
              "folder\n");
    EXPECT_EQ(Crescendo({command, "study.toml"}).errors,
              "crescendo: study.toml is a study and no run; `crescendo compare study.toml --list` prints its runs' "
              "folders\n");
    EXPECT_EQ(Crescendo({command, "runs"}).errors,
              "crescendo: runs holds runs and is none; give one of them: runs/a, runs/b, runs/c, ...\n");
  }
  EXPECT_EQ(
      Crescendo({"report", "runs"}).errors,
      "crescendo: runs holds runs and is none; give their folders, such as runs/a, or the study that made them\n");
}

TEST_F(Mistakes, UnreadableConfigsAreNamed) {
  folder_.Write("run/config.toml", "");
  folder_.Write("utf16.toml", std::string("\xff\xfe[\0d\0", 6));
  folder_.Write("round.toml", "base = 'round.toml'\n");
  struct Case {
    const char* file;
    const char* message;
  };
  for (const Case& wrong :
       {Case{"none.toml", "cannot read none.toml: No such file or directory"},
        Case{".", "cannot read .: it is a folder"},
        Case{"run", "cannot read run: it is a folder; its config is run/config.toml"},
        Case{"utf16.toml", "utf16.toml:1:1: "},
        Case{"round.toml", "round.toml:1:8: base = \"round.toml\": files that are based on each other"}}) {
    const ProcessResult result = Crescendo({"plan", wrong.file});
    EXPECT_EQ(result.exit_code, 2) << wrong.file;
    EXPECT_THAT(result.errors, AllOf(StartsWith(std::string("crescendo: ") + wrong.message), IsForPeople()));
  }
}

// Weights, checkpoints and studies of strangers hold configs too.
TEST_F(Mistakes, ConfigMadeToBreakTheProgramIsRefused) {
  std::string key = "a";
  for (int i = 1; i < 60'000; ++i) key += ".a";
  const std::string refusal = "this key has more than 32 parts";
  const auto weights_with = [&](const std::string& config) {
    std::string header = nlohmann::json{{"__metadata__", {{"crescendo.config", config}}}}.dump();
    header.resize((header.size() + 7) / 8 * 8, ' ');
    const uint64_t length = header.size();
    std::string bytes(sizeof length, '\0');
    std::memcpy(bytes.data(), &length, sizeof length);
    folder_.Write("weights.safetensors", bytes + header);
    return Crescendo({"eval", "weights.safetensors"});
  };
  struct Case {
    ProcessResult result;
    std::string message;
  };
  folder_.Write("key.toml", "[run]\n" + key + " = 1\n");
  folder_.Write("study.toml", "base = 'small.toml'\n[variants." + key + "]\n");
  for (const Case& wrong : {Case{Crescendo({"plan", "key.toml"}), "key.toml:2:64: " + refusal},
                            Case{Crescendo({"compare", "study.toml"}), "study.toml:2:72: " + refusal},
                            Case{weights_with("[" + key + "]"), "weights.safetensors:1:65: " + refusal},
                            Case{weights_with("[run]\nseed = " + std::string(50'000, 'a')),
                                 "weights.safetensors:2:8: Error while parsing value"}}) {
    EXPECT_EQ(wrong.result.exit_code, 2) << wrong.message;
    EXPECT_THAT(wrong.result.errors, AllOf(StartsWith("crescendo: " + wrong.message), IsForPeople()));
    EXPECT_EQ(Lines(wrong.result.errors).size(), 1) << wrong.message;
  }
}

// A log of 8 GB where 4 GB may be had: what cannot be read must not be cut either.
TEST_F(Mistakes, LogThatDoesNotFitIntoMemoryIsLeftAsItIs) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer reserves more memory than this test allows";
#endif
  TrainSmall();
  const uintmax_t size = uintmax_t{8} << 30;
  std::filesystem::resize_file(folder_ / "run/run.jsonl", size);  // with a hole
  support::ProcessOptions options;
  options.most_memory = int64_t{4} << 30;
  for (const char* command : {"resume", "report"}) {
    const ProcessResult result = Crescendo({command, "run"}, options);
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.errors, "crescendo: cannot read run/run.jsonl: not enough memory for its 8589934592 bytes\n");
  }
  EXPECT_EQ(std::filesystem::file_size(folder_ / "run/run.jsonl"), size);
}

// A layer of 6.4 GB where 4 GB may be had.
TEST_F(Mistakes, TooLargeANetworkIsOneLineAboutMemory) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer reserves more memory than this test allows";
#endif
  support::ProcessOptions options;
  options.most_memory = int64_t{4} << 30;
  const ProcessResult result = Crescendo({"train", "small.toml", "model.hidden=[40000,40000]"}, options);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.errors, AllOf(HasSubstr("not enough memory"), IsForPeople()));
  EXPECT_EQ(Lines(result.errors).size(), 1) << result.errors;
  EXPECT_FALSE(Exists("runs"));
}

}  // namespace
}  // namespace crescendo::cli
