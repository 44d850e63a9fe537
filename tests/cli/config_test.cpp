// crescendo config: the list of options, and a config with everything filled in.
#include "tests/cli/program.h"

namespace crescendo::cli {
namespace {

using support::ProcessResult;
using ::testing::AllOf;
using ::testing::HasSubstr;

class ConfigCommand : public ProgramTest {};

TEST_F(ConfigCommand, ListsEveryOptionWithItsDefaultBoundsAndSentence) {
  const ProcessResult result = Crescendo({"config"});
  EXPECT_EQ(result.exit_code, 0);
  for (const char* section : {"[data]", "[model]", "[optimizer]", "[reference]", "[schedule]", "[run]"}) {
    EXPECT_THAT(result.output, HasSubstr(section));
  }
  EXPECT_THAT(result.output, AllOf(HasSubstr("hysteresis"), HasSubstr("from 0 to 100"), HasSubstr("ghost_batch"),
                                   HasSubstr("how many examples share batch-norm statistics")));
}

TEST_F(ConfigCommand, PrintsAConfigThatGivesTheSamePlanAndIsItsOwnResolution) {
  const ProcessResult resolved = Crescendo({"config", "small.toml", "schedule.max_batch=20", "data.missing=a=b"});
  ASSERT_EQ(resolved.exit_code, 0) << resolved.errors;
  EXPECT_THAT(resolved.output, AllOf(HasSubstr("max_batch = 20"), HasSubstr("missing = \"a=b\"")));
  folder_.Write("elsewhere/resolved.toml", resolved.output);  // whose files are absolute
  EXPECT_EQ(Crescendo({"config", "elsewhere/resolved.toml"}).output, resolved.output);
  EXPECT_EQ(Crescendo({"plan", "elsewhere/resolved.toml", "--format", "csv"}).output,
            Crescendo({"plan", "small.toml", "schedule.max_batch=20", "--format", "csv"}).output);
}

TEST_F(ConfigCommand, TakesFilesRelativeToTheConfigAndOverridesRelativeToHere) {
  folder_.Write("deep/down/child.toml", "base = '../../small.toml'\n");
  const std::string table = (std::filesystem::canonical(folder_.path()) / "table.csv").string();
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"config", "deep/down/child.toml"},
        std::vector<std::string>{"config", "deep/down/child.toml", "data.train_file=table.csv"}}) {
    EXPECT_THAT(Crescendo(arguments).output, HasSubstr("train_file = \"" + table + "\"")) << arguments.size();
  }
}

TEST_F(ConfigCommand, ReadsFilesOfOtherEditors) {
  std::string text = "\xef\xbb\xbf";  // a byte-order mark and CR LF
  for (const std::string& line : Lines(Read("small.toml"))) text += line + "\r\n";
  folder_.Write("foreign.toml", text);
  EXPECT_EQ(Crescendo({"config", "foreign.toml"}).output, Crescendo({"config", "small.toml"}).output);
}

}  // namespace
}  // namespace crescendo::cli
