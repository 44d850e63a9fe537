// crescendo profile: what it prints, the trace, and that it leaves nothing else behind.
#include <set>

#include "crescendo/base/file.h"
#include "tests/cli/program.h"

namespace crescendo::cli {
namespace {

using nlohmann::ordered_json;
using support::ProcessResult;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class ProfileCommand : public ProgramTest {
 protected:
  ProfileCommand() { std::filesystem::create_directory(folder_ / "tmp"); }

  ProcessResult Profile(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"profile", "small.toml"});
    support::ProcessOptions options;
    options.environment["TMPDIR"] = (folder_ / "tmp").string();
    return Crescendo(arguments, options);
  }

  std::set<std::string> Files() const {
    std::set<std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path())) {
      files.insert(std::filesystem::relative(entry.path(), folder_.path()).string());
    }
    return files;
  }
};

TEST_F(ProfileCommand, PrintsPartsLayersAndRooflineAndLeavesTheFolderAsItWas) {
  const std::set<std::string> before = Files();
  const ProcessResult result = Profile({"--updates", "3"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.errors, "");
  EXPECT_THAT(
      result.output,
      AllOf(StartsWith("profile of small.toml, phase 1 of 3: batch 8, micro-batch 8, fp32, on cpu ("),
            HasSubstr("\nroofline, measured before and after: "), HasSubstr("\nbackward  "), HasSubstr("\noverhead  "),
            HasSubstr("\n3 updates of "), HasSubstr("\nhidden.0.linear     linear      16x2"),
            HasSubstr("\nhidden.0.norm       batch norm  16"), HasSubstr("\nbetween the layers ")));
  EXPECT_EQ(Files(), before);
}

// docs/formats/profile.md lists the fields; here they are once more, because other programs read them.
TEST_F(ProfileCommand, JsonHasTheDocumentedFieldsAndNoOthers) {
  const ProcessResult result = Profile({"--updates", "2", "--at", "3ep", "--format", "json"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const ordered_json profile = ordered_json::parse(result.output);
  EXPECT_THAT(
      Keys(profile),
      ElementsAre("config", "device", "workers", "threads", "precision", "phase", "phases", "begin_example",
                  "global_batch", "micro_batch", "roofline", "updates", "seconds", "fastest_seconds", "slowest_seconds",
                  "parts", "seconds_with_layers", "layers", "forward_between_layers", "backward_between_layers"));
  const ordered_json& layer = profile["layers"][0];
  EXPECT_THAT(Keys(layer), ElementsAre("name", "kind", "weight", "output", "calls", "forward", "backward"));
  EXPECT_THAT(Keys(layer["forward"]), ElementsAre("seconds", "flops", "bytes", "seconds_at_roofline"));
  const std::string page = ReadFile("docs/formats/profile.md");
  for (const ordered_json& object : {profile, profile["roofline"], layer, layer["forward"]}) {
    for (const std::string& key : Keys(object)) EXPECT_THAT(page, HasSubstr("`" + key + "`"));
  }

  EXPECT_EQ(profile["global_batch"], 32);
  EXPECT_EQ(profile["phase"], 3);
  EXPECT_EQ(profile["begin_example"], 720);
  EXPECT_EQ(layer["calls"], 4);
  EXPECT_EQ(layer["forward"]["flops"], 2 * 2 * 16 * 32);  // [32, 2] x [2, 16]
  double parts = 0;
  for (const ordered_json& part : profile["parts"]) parts += part["seconds"].get<double>();
  EXPECT_NEAR(parts, profile["seconds"].get<double>(), 1e-9);
}

TEST_F(ProfileCommand, TraceIsWrittenOnceUnlessForced) {
  ASSERT_EQ(Profile({"--updates", "2", "--trace", "trace.json"}).exit_code, 0);
  std::vector<std::string> phases;
  const ordered_json trace = ordered_json::parse(Read("trace.json"));
  for (const auto& event : trace["traceEvents"]) {
    if (event["name"] == "hidden.0.linear") phases.push_back(event["ph"]);
  }
  EXPECT_EQ(phases, (std::vector<std::string>{"X", "X"}));

  folder_.Write("trace.json", "mine");
  const ProcessResult again = Profile({"--updates", "2", "--trace", "trace.json"});
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_EQ(again.errors,
            "crescendo: --trace trace.json: there is such a file; give another name, or --force to replace it\n");
  EXPECT_EQ(Read("trace.json"), "mine");
  ASSERT_EQ(Profile({"--updates", "2", "--trace", "trace.json", "--force"}).exit_code, 0);
  EXPECT_THAT(Read("trace.json"), HasSubstr("traceEvents"));
}

TEST_F(ProfileCommand, SeveralWorkersAreProfiledTogether) {
  const ProcessResult result = Profile({"--updates", "2", "--ranks", "2", "--phase", "3", "--format", "json"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const ordered_json profile = ordered_json::parse(result.output);
  EXPECT_EQ(profile["workers"], 2);
  EXPECT_EQ(profile["layers"][0]["calls"], 2);  // 16 of the 32 examples, in micro-batches of 8
}

TEST_F(ProfileCommand, SaysWhatItCannotDo) {
  const std::set<std::string> before = Files();
  struct Case {
    std::vector<std::string> arguments;
    const char* message;
  };
  for (const Case& wrong : std::vector<Case>{
           {{"--phase", "4"}, "crescendo: --phase 4: the plan has phases 1 to 3\n"},
           {{"--at", "4ep"}, "crescendo: --at 4ep is example 960, and the plan ends at 960\n"},
           {{"--at", "soon"}, "crescendo: --at soon is not a position, such as 60ep or 40ksp\n"},
           {{"--at", "1ep", "--phase", "1"}, "crescendo profile: --at excludes --phase"},
           {{"--trace", "none/t.json"}, "crescendo: --trace none/t.json: there is no folder none\n"},
           {{"--force"}, "crescendo profile: --force requires --trace"},
           {{"--updates", "0"}, "crescendo profile: --updates: "},
           {{"model.hiden=[3]"}, "crescendo: command line: model.hiden=[3]: model.hiden is not an option"},
       }) {
    const ProcessResult result = Profile(wrong.arguments);
    EXPECT_EQ(result.exit_code, 2) << wrong.message;
    EXPECT_THAT(result.errors, AllOf(StartsWith(wrong.message), IsForPeople()));
    EXPECT_EQ(result.output, "");
  }
  EXPECT_EQ(Files(), before);
}

}  // namespace
}  // namespace crescendo::cli
