#include "crescendo/config/position_table_file.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crescendo/base/error.h"
#include "crescendo/config/load.h"
#include "crescendo/config/plan_request.h"
#include "crescendo/schedule/planner.h"
#include "tests/support/temporary_folder.h"

namespace crescendo::config {
namespace {

using ::testing::HasSubstr;

constexpr auto kEpochs = Position::Unit::kEpochs;
constexpr auto kExamples = Position::Unit::kExamples;
constexpr auto kBatches = Position::Unit::kBatches;

class PositionTableFile : public ::testing::Test {
 protected:
  PositionTable Read(const std::string& text, std::string_view key = "reference.table") {
    return ReadPositionTable(folder_.Write("rates.csv", text), key);
  }
  std::string Refusal(const std::string& text) {
    try {
      Read(text);
    } catch (const UserError& error) {
      return error.what();
    }
    return "(accepted)";
  }

  support::TemporaryFolder folder_;
};

TEST_F(PositionTableFile, ReadsWhatOthersExport) {
  const PositionTable steps = {{{0, kBatches}, 0.1}, {{50, kBatches}, 0.05}};
  EXPECT_EQ(Read("step,lr\n0,0.1\n50,0.05\n"), steps);
  EXPECT_EQ(Read("Wall time,Step,Value\n1764115200.5,0,0.1\n1764115201.25,50,0.05\n"), steps);  // TensorBoard
  EXPECT_EQ(Read("\"Step\",\"run - lr\",\"run - lr__MIN\",\"run - lr__MAX\"\n\"0\",\"0.1\",\"0.1\",\"0.1\"\n"
                 "\"50\",\"5e-2\",\"0.05\",\"0.05\"\n"),
            steps);  // Weights & Biases
  EXPECT_EQ(Read("loss,updates,learning_rate\n2.3,0,0.1\n2.1,50,0.05\n"), steps);
  EXPECT_EQ(Read("epoch,lr\n0,0.1\n0.5,0.05\n"), (PositionTable{{{0, kEpochs}, 0.1}, {{0.5, kEpochs}, 0.05}}));
  EXPECT_EQ(Read("lr,examples\n0.1,0\n0.05,128\n"), (PositionTable{{{0, kExamples}, 0.1}, {{128, kExamples}, 0.05}}));
  EXPECT_EQ(Read("step,lr,momentum\n0,0.1,0.9\n50,0.05,0.95\n", "reference.momentum_table"),
            (PositionTable{{{0, kBatches}, 0.9}, {{50, kBatches}, 0.95}}));
}

TEST_F(PositionTableFile, LeavesOutWhatRepeatsOnly) {
  const PositionTable kept = {
      {{0, kBatches}, 0.1}, {{3, kBatches}, 0.1}, {{4, kBatches}, 0.2}, {{5, kBatches}, 0.1}, {{6, kBatches}, 0.1}};
  EXPECT_EQ(Read("step,lr\n0,0.1\n1,0.1\n2,0.1\n3,0.1\n4,0.2\n5,0.1\n6,0.1\n"), kept);
}

TEST_F(PositionTableFile, SaysWhatIsWrongAndWhere) {
  EXPECT_THAT(Refusal("0,0.1\n50,0.05\n"), HasSubstr("rates.csv: its first line must name its 2 columns: one step, "
                                                     "epoch or sample, for positions, and one learning_rate or lr or "
                                                     "value; it has 0, 0.1"));
  EXPECT_THAT(Refusal("step,train_lr,loss\n0,0.1,2\n"), HasSubstr("it has step, train_lr, loss"));
  EXPECT_THAT(Refusal("step,loss,lr\n0,0.1\n"), HasSubstr("its first line must name its 2 columns"));
  EXPECT_THAT(Refusal("step,lr\n0,0.1\n0.5,0.05\n"),
              HasSubstr("rates.csv, line 3, column 1 (0, counted from 0): '0.5' is not a whole number of steps"));
  EXPECT_THAT(Refusal("step,lr\n0,0.1\n-1,0.05\n"), HasSubstr("line 3, column 1 (0, counted from 0): '-1' is not a "));
  EXPECT_THAT(Refusal("step,lr\n0,0.1\n5,nan\n"), HasSubstr("line 3, column 2 (1, counted from 0): 'nan' is not a "));
  EXPECT_THAT(Refusal("step,lr\n0,0.1\n5,0.2\n5,0.1\n"),
              HasSubstr("line 4, column 1 (0, counted from 0): positions must increase, but '5' comes after 5ba"));
  EXPECT_THAT(Refusal("step;lr\n0;0.1\n"), HasSubstr("separated by ';'"));
  std::string long_text = "step,lr\n";
  for (int step = 0; step <= 20'000; ++step) long_text += fmt::format("{},{}\n", step, 1 + step);
  EXPECT_THAT(Refusal(long_text), HasSubstr("rates.csv holds more than 20000 different values; keep every tenth row"));
}

// A config that names the file is the config that states the table, and its resolved text needs the file no more.
TEST_F(PositionTableFile, StandsForTheTable) {
  folder_.Write("rates.csv", "step,lr\n0,0.1\n200,0.02\n");
  const auto load = [&](const std::string& table, const std::vector<std::string>& overrides = {}) {
    const auto path = folder_.Write(
        "x.toml",
        fmt::format("[reference]\nglobal_batch = 32\nshape = 'table'\ntable = {}\n[schedule]\nlength = '10ep'\n"
                    "max_batch = 'none'",
                    table));
    return LoadFile(path, overrides);
  };
  const Options options = load("'rates.csv'");
  EXPECT_EQ(options, load("[['0ba', 0.1], ['200ba', 0.02]]"));
  EXPECT_EQ(options, load("[[0, 1]]", {fmt::format("reference.table={}", (folder_.path() / "rates.csv").string())}));
  const schedule::Plan plan = schedule::MakePlan(MakePlanRequest(options, 1000));
  ASSERT_EQ(plan.phases().size(), 2);
  EXPECT_EQ(plan.phases()[1].begin_example.value(), 6400);
  EXPECT_EQ(plan.phases()[1].global_batch.value(), 160);
  try {
    load("'no.csv'");
    FAIL();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("x.toml:4:9: reference.table = \"no.csv\": cannot read "));
  }
}

}  // namespace
}  // namespace crescendo::config
