#include "crescendo/config/position_table_file.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crescendo/base/error.h"
#include "crescendo/config/describe.h"
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
    return ReadPositionTable(folder_.Write("rates.csv", text), key, {.minimum = 0, .maximum = 10});
  }
  std::string Refusal(const std::string& text, std::string_view key = "reference.table") {
    try {
      Read(text, key);
    } catch (const UserError& error) {
      return error.what();
    }
    return "(accepted)";
  }
  // Of a schedule of 320 examples, ten batches.
  schedule::Plan PlanOf(const std::string& table, const std::string& more = "") {
    const auto path = folder_.Write("x.toml", fmt::format("[reference]\nglobal_batch = 32\nshape = 'table'\n{}\n"
                                                          "[schedule]\nlength = '10ba'\nmax_batch = 'none'\n{}",
                                                          table, more));
    return schedule::MakePlan(MakePlanRequest(LoadFile(path), 1000));
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
  // The most exact of several positions.
  EXPECT_EQ(Read("epoch,update,example,lr\n0,0,0,0.1\n0,3,128,0.05\n"),
            (PositionTable{{{0, kExamples}, 0.1}, {{128, kExamples}, 0.05}}));
  EXPECT_EQ(Read("step,lr,momentum\n0,0.1,0.9\n50,0.05,0.95\n", "reference.momentum_table"),
            (PositionTable{{{0, kBatches}, 0.9}, {{50, kBatches}, 0.95}}));
}

TEST_F(PositionTableFile, LeavesOutWhatRepeatsOnly) {
  const PositionTable kept = {
      {{0, kBatches}, 0.1}, {{3, kBatches}, 0.1}, {{4, kBatches}, 0.2}, {{5, kBatches}, 0.1}, {{6, kBatches}, 0.1}};
  EXPECT_EQ(Read("step,lr\n0,0.1\n1,0.1\n2,0.1\n3,0.1\n4,0.2\n5,0.1\n6,0.1\n"), kept);
}

// A log of each step, and what a person would write: the same plan, with no phase in which nothing changes.
TEST_F(PositionTableFile, OfASteppedScheduleGivesThePlanOfItsSteps) {
  std::string log = "step,lr,momentum\n";
  for (int step = 0; step < 10; ++step) {
    log += fmt::format("{},{},{}\n", step, step < 4 ? 0.1 : 0.02, step < 7 ? 0.9 : 0.8);
  }
  folder_.Write("log.csv", log);
  const schedule::Plan logged = PlanOf("table = 'log.csv'\nmomentum_table = 'log.csv'", "boundary = 'cut'");
  const schedule::Plan written = PlanOf(
      "table = [['0ba', 0.1], ['4ba', 0.02]]\nmomentum_table = [['0ba', 0.9], ['7ba', 0.8]]", "boundary = 'cut'");
  ASSERT_EQ(logged.phases().size(), written.phases().size());
  EXPECT_EQ(logged.phases().size(), 3);
  for (size_t i = 0; i < logged.phases().size(); ++i) {
    EXPECT_EQ(logged.phases()[i].begin_example, written.phases()[i].begin_example);
    EXPECT_EQ(logged.phases()[i].global_batch, written.phases()[i].global_batch);
    EXPECT_EQ(logged.phases()[i].learning_rate, written.phases()[i].learning_rate);
    EXPECT_EQ(logged.phases()[i].momentum, written.phases()[i].momentum);
  }
}

TEST_F(PositionTableFile, SaysWhatIsWrongAndWhere) {
  EXPECT_THAT(Refusal("0,0.1\n50,0.05\n"),
              HasSubstr("rates.csv: its first line must name its columns, 2 of them: one step, epoch or sample, for "
                        "positions, and one learning_rate or lr or value; it has 0, 0.1"));
  for (const char* columns : {"step,loss", "step,train_lr,test_lr", "batch,lr", "momentum,lr"}) {
    EXPECT_THAT(Refusal(fmt::format("{}\n0,0.1,1\n", columns)), HasSubstr("its first line must name its columns"));
  }
  EXPECT_THAT(Refusal("step,lr\n0,0.1\n", "reference.momentum_table"), HasSubstr("and one momentum or value; it has"));
  EXPECT_THAT(Refusal("step,loss,lr\n0,0.1\n"), HasSubstr("its first line must name its columns, 2 of them"));
  EXPECT_THAT(Refusal("step,lr,lr\n0,0.1,0.2\n"), HasSubstr("its first line names more than one column lr"));
  EXPECT_THAT(Refusal("step,lr\n"), HasSubstr("rates.csv holds no rows below the names of its columns"));
  EXPECT_THAT(Refusal("step,lr\n0,0.1\n0.5,0.05\n"),
              HasSubstr("rates.csv, line 3, column 1 (0, counted from 0): '0.5' is not a whole number of steps"));
  for (const char* position : {"-1", "-0", "x", "inf"}) {
    EXPECT_THAT(Refusal(fmt::format("step,lr\n{},0.1\n", position)),
                HasSubstr(fmt::format("line 2, column 1 (0, counted from 0): '{}' is not a position", position)));
  }
  EXPECT_THAT(Refusal("step,lr\n0,0.1\n5,nan\n"), HasSubstr("line 3, column 2 (1, counted from 0): 'nan' is not a "));
  EXPECT_THAT(Refusal("step,lr\n0,0.1\n1,0.1\n2,0.1\n3,11\n"),
              HasSubstr("line 5, column 2 (1, counted from 0): '11': it must be from 0 to 10"));
  EXPECT_THAT(Refusal("step,lr\n0,0.1\n5,0.2\n5,0.1\n"),
              HasSubstr("line 4, column 1 (0, counted from 0): positions must increase, but '5' comes after 5ba"));
  EXPECT_THAT(Refusal("step;lr\n0;0.1\n"), HasSubstr("separated by ';'"));
  EXPECT_THAT(Refusal("\x1f\x8b\x08"), HasSubstr("rates.csv is no text"));
}

// The resolved config holds the tables, and has to be read again.
TEST_F(PositionTableFile, IsNotLargerThanAConfigMayBe) {
  std::string log = "step,lr,momentum\n";
  for (int step = 0; step < 20'000; ++step) log += fmt::format("{},{},{}\n", step, 1 + step / 3e4, 0.9 - step / 3e5);
  folder_.Write("log.csv", log);
  const std::string both = "table = 'log.csv'\nmomentum_table = 'log.csv'";
  const auto load = [&](const std::string& tables) {
    return LoadFile(folder_.Write("x.toml", fmt::format("[reference]\nshape = 'table'\n{}\n[schedule]\n"
                                                        "length = '20000ba'",
                                                        tables)));
  };
  EXPECT_EQ(LoadText(ToToml(load("table = 'log.csv'")), "again.toml"), load("table = 'log.csv'"));
  try {
    load(both);
    FAIL();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("x.toml: with all its tables the config has 1"));
    EXPECT_THAT(error.what(), HasSubstr("and it may have 1048576: reference.momentum_table has 20000 rows, "
                                        "reference.table has 20000 rows; keep every tenth row, say"));
  }
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
