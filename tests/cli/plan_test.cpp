// crescendo plan: what stands on the terminal is what `train` does, and machines can read it.
#include <cmath>
#include <numeric>

#include "crescendo/base/file.h"
#include "tests/cli/program.h"

namespace crescendo::cli {
namespace {

using nlohmann::ordered_json;
using support::ProcessResult;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class PlanCommand : public ProgramTest {
 protected:
  std::string Output(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "plan");
    const ProcessResult result = Crescendo(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    EXPECT_EQ(result.errors, "");
    return result.output;
  }
};

TEST_F(PlanCommand, TableShowsThePhasesTheSavingAndTheCornerCases) {
  EXPECT_THAT(Output({"small.toml"}),
              AllOf(StartsWith("plan of small.toml\n240 training examples (csv), 4 epochs = 960 examples\n"),
                    HasSubstr("83 updates instead of 120: 1.4 times fewer sequential steps"),
                    HasSubstr("momentum_buffer"), HasSubstr("epoch_tail       carry"), HasSubstr("lost")));
}

// docs/formats/plan.md lists the fields; here they are once more, because other programs read them.
TEST_F(PlanCommand, JsonHasTheDocumentedFieldsAndNoOthers) {
  const ordered_json plan = ordered_json::parse(Output({"small.toml", "--format", "json"}));
  EXPECT_THAT(Keys(plan), ElementsAre("train_examples", "epochs", "total_examples", "total_updates",
                                      "reference_updates", "policy", "rule", "noise_form", "rounding", "at_cap",
                                      "epoch_tail", "boundary", "momentum_buffer", "phases"));
  ASSERT_EQ(plan["phases"].size(), 3);
  for (const ordered_json& phase : plan["phases"]) {
    EXPECT_THAT(Keys(phase), ElementsAre("begin_example", "end_example", "begin_update", "updates", "global_batch",
                                         "learning_rate", "learning_rate_end", "momentum", "noise_scale",
                                         "noise_scale_exact", "noise_scale_small_batch", "reference_noise_scale",
                                         "reference_learning_rate", "lost_epochs", "at_cap"));
  }
  const std::string page = ReadFile("docs/formats/plan.md");
  for (const ordered_json& object : {plan, plan["phases"][0]}) {
    for (const std::string& key : Keys(object)) EXPECT_THAT(page, HasSubstr("`" + key + "`"));
  }
  EXPECT_EQ(plan["total_updates"], 60 + 15 + 8);
  EXPECT_EQ(plan["phases"][2]["global_batch"], 32);
}

// Batches of 8, 16 and 32; ghosts of 8.
TEST_F(PlanCommand, WorkersOfEachPhaseWhereTheyGrow) {
  const auto workers = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"small.toml", "run.workers=grow", "--format", "json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    std::vector<int64_t> numbers;
    const ordered_json plan = ordered_json::parse(Output(arguments));
    for (const ordered_json& phase : plan["phases"]) numbers.push_back(phase["workers"]);
    return numbers;
  };
  EXPECT_THAT(workers({}), ElementsAre(1, 2, 4));
  EXPECT_THAT(workers({"--ranks", "3"}), ElementsAre(1, 2, 3));
  EXPECT_THAT(workers({"run.worker_batch=10"}), ElementsAre(1, 1, 3));
  const std::string page = ReadFile("docs/formats/plan.md");
  for (const char* name : {"`workers`", "`worker_batch`"}) EXPECT_THAT(page, HasSubstr(name));
  EXPECT_THAT(Output({"small.toml", "run.workers=grow"}),
              HasSubstr("\nworkers: one for each 8 examples of the batch (run.worker_batch)"));
  EXPECT_THAT(Output({"small.toml"}), Not(HasSubstr("workers")));
  const ProcessResult fixed = Crescendo({"plan", "small.toml", "--ranks", "3"});
  EXPECT_EQ(fixed.exit_code, 2);
  EXPECT_THAT(fixed.errors, StartsWith("crescendo: --ranks 3 means something only with run.workers = grow, and in "
                                       "small.toml the workers are fixed"));
}

TEST_F(PlanCommand, CsvIsTheJsonInRows) {
  const auto rows = Lines(Output({"small.toml", "--format", "csv"}));
  ASSERT_EQ(rows.size(), 4);
  EXPECT_THAT(rows[0], StartsWith("begin_example,end_example,begin_update,updates,global_batch,learning_rate,"));
  EXPECT_THAT(rows[3], StartsWith("720,960,75,8,32,0.1,0.1,0.9,"));
}

TEST_F(PlanCommand, UpdatesAreAJsonObjectPerLineWithTheDocumentedFields) {
  const auto lines = Lines(Output({"small.toml", "--updates", "--format", "json"}));
  ASSERT_EQ(lines.size(), 83);
  int64_t example = 0;
  for (size_t k = 0; k < lines.size(); ++k) {
    const ordered_json update = ordered_json::parse(lines[k]);
    ASSERT_THAT(Keys(update), ElementsAre("update", "example", "global_batch", "learning_rate", "momentum",
                                          "noise_scale", "reference_noise_scale"));
    EXPECT_EQ(update["update"], k);
    EXPECT_EQ(update["example"], example);
    EXPECT_NEAR(update["noise_scale"], update["reference_noise_scale"],
                1e-12 * update["reference_noise_scale"].get<double>());
    example += update["global_batch"].get<int64_t>();
  }
  EXPECT_EQ(example, 960);
}

TEST_F(PlanCommand, OverridesHoldForEveryConfigAndTheLastOneWins) {
  folder_.Write("decay.toml", "base = 'small.toml'\n[schedule]\npolicy = 'decay'\n");
  const std::string both = Output({"small.toml", "decay.toml", "schedule.length=5ep", "schedule.length=6ep"});
  EXPECT_THAT(both, AllOf(HasSubstr("plan of small.toml\n240 training examples (csv), 6 epochs"),
                          HasSubstr("plan of decay.toml\n240 training examples (csv), 6 epochs"),
                          HasSubstr("180 updates, as many as the reference")));
}

TEST_F(PlanCommand, NeedsNoneOfTheImagesItPlansFor) {
  folder_.Write("cifar.toml", "[reference]\nboundaries = ['60ep', '120ep', '160ep']\nfactor = 0.2\n");
  EXPECT_THAT(Output({"cifar.toml"}), HasSubstr("50,000 training examples (cifar10), 200 epochs"));
}

TEST_F(PlanCommand, ChartIsASvgOfAllConfigs) {
  EXPECT_EQ(Output({"small.toml", "--chart", "plan.svg"}), "");
  EXPECT_THAT(Read("plan.svg"), AllOf(StartsWith("<svg"), HasSubstr("small")));
  for (const char* other : {"--updates", "--format=json"}) {
    const ProcessResult both = Crescendo({"plan", "small.toml", "--chart", "plan.svg", other});
    EXPECT_EQ(both.exit_code, 2) << other;
    EXPECT_THAT(both.errors, HasSubstr(" excludes --chart"));
  }
}

TEST_F(PlanCommand, WritesOverNothingButCharts) {
  const std::string config = Read("small.toml");
  EXPECT_EQ(Crescendo({"plan", "small.toml", "--chart", "small.toml"}).exit_code, 2);
  const ProcessResult png = Crescendo({"plan", "small.toml", "--chart", "plan.png"});
  EXPECT_EQ(png.exit_code, 2);
  EXPECT_THAT(png.errors, HasSubstr("--chart plan.png: a chart is SVG; give a name that ends in .svg"));
  TrainSmall();
  const std::string plan = Read("run/plan.json");
  for (const std::string& out : {std::string("small.toml"), std::string("run/plan.json")}) {
    const ProcessResult report = Crescendo({"report", "run", "--out", out, "--format", "md"});
    EXPECT_EQ(report.exit_code, 2);
    EXPECT_THAT(report.errors, HasSubstr("--out " + out + ": there is such a file, which crescendo has not made"));
  }
  EXPECT_EQ(Read("small.toml"), config);
  EXPECT_EQ(Read("run/plan.json"), plan);
  for (int time = 0; time < 2; ++time) EXPECT_EQ(Crescendo({"report", "run", "--out", "run.md"}).exit_code, 0);
}

TEST_F(PlanCommand, WarnsWhereAGrowingBatchTakesMoreUpdates) {
  EXPECT_THAT(Output({"small.toml", "reference.factor=5"}), HasSubstr("! More updates than the reference takes ("));
  EXPECT_THAT(Output({"small.toml"}), Not(HasSubstr("More updates")));
}

TEST_F(PlanCommand, WarnsWhereGhostBatchesGrow) {
  const auto warning = HasSubstr("! model.ghost_batch = 16 is more than the smallest batch, 8:");
  EXPECT_THAT(Output({"small.toml", "model.ghost_batch=16"}), warning);
  EXPECT_THAT(Output({"small.toml", "model.ghost_batch=16", "model.batch_norm=false"}), Not(warning));
}

TEST_F(PlanCommand, SaysWhatItCannotDo) {
  ProcessResult result = Crescendo({"plan", "small.toml", "--format", "jsn"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.errors, AllOf(HasSubstr("crescendo plan: --format: there is no jsn; there are table, json, csv"),
                                   HasSubstr("`crescendo plan --help`"), IsForPeople()));
  result = Crescendo({"plan", "small.toml", "small.toml", "--updates"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.errors, HasSubstr("2 configs were given; --updates"));
  result = Crescendo({"plan", "schedule.length=3ep"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.errors, HasSubstr("needs a config file"));
}

TEST_F(PlanCommand, StopsWhereItsOutputCannotBeWritten) {
  support::ProcessOptions options;
  options.output_file = "/dev/full";
  const ProcessResult full = Crescendo({"plan", "small.toml", "--updates", "schedule.length=10000000ep"}, options);
  EXPECT_EQ(full.exit_code, 1);
  EXPECT_EQ(full.errors, "crescendo: cannot write to the standard output\n");
}

}  // namespace
}  // namespace crescendo::cli
