// What a newcomer types first.
#include "tests/cli/program.h"

namespace crescendo::cli {
namespace {

using support::ProcessResult;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

class Program : public ProgramTest {};

TEST_F(Program, HelpOfEveryCommandHasExamplesThatBeginWithIt) {
  const std::string overview = Crescendo({"--help"}).output;
  for (const std::string command :
       {"plan", "train", "resume", "eval", "predict", "profile", "compare", "report", "digest", "config", "fetch"}) {
    EXPECT_THAT(overview, HasSubstr("\n  " + command));
    const ProcessResult help = Crescendo({command, "--help"});
    EXPECT_EQ(help.exit_code, 0);
    EXPECT_EQ(help.errors, "");
    EXPECT_THAT(help.output, AllOf(HasSubstr("Examples:\n  crescendo " + command),
                                   HasSubstr("Usage: crescendo " + command), Not(HasSubstr("TEXT REQUIRED TEXT"))));
  }
  EXPECT_THAT(overview, HasSubstr("Exit codes: 0"));
}

TEST_F(Program, VersionNamesLibTorchAndTheCompiler) {
  const ProcessResult result = Crescendo({"--version"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output,
              MatchesRegex("crescendo [0-9.]+( \\([0-9a-f+]+[^)]*\\))?, LibTorch 2[0-9.]+.*, .*[0-9.]+\n"));
}

TEST_F(Program, WithoutACommandTellsWhatThereIs) {
  const ProcessResult result = Crescendo({});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.errors, AllOf(HasSubstr("Usage: crescendo"), HasSubstr("Examples:")));
}

TEST_F(Program, KnowsTheNearestCommand) {
  ProcessResult result = Crescendo({"trian", "small.toml"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.errors, "crescendo: there is no command 'trian'; did you mean train?\n");
  result = Crescendo({"frobnicate"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(
      result.errors,
      HasSubstr("there is no command 'frobnicate'; there are plan, train, resume, eval, predict, profile, compare"));
}

TEST_F(Program, MissingAndUnknownArgumentsAreNamedWithTheirCommand) {
  struct Case {
    std::vector<std::string> arguments;
    const char* message;
  };
  for (const Case& wrong : std::vector<Case>{
           {{"train"}, "crescendo train: CONFIG is required"},
           {{"fetch"}, "crescendo fetch: NAME is required"},
           {{"train", "small.toml", "--ouput", "x"}, "crescendo train: "},
           {{"train", "small.toml", "--force"}, "crescendo train: --force requires --out"},
       }) {
    const ProcessResult result = Crescendo(wrong.arguments);
    EXPECT_EQ(result.exit_code, 2) << wrong.message;
    EXPECT_THAT(result.errors,
                AllOf(HasSubstr(wrong.message), HasSubstr("--help` shows what it takes"), IsForPeople()));
  }
}

}  // namespace
}  // namespace crescendo::cli
