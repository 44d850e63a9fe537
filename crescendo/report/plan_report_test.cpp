#include "crescendo/report/plan_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "crescendo/report/plan_fixture.h"
#include "crescendo/report/text_table.h"

namespace crescendo::report {
namespace {

using schedule::AtCap;
using schedule::Examples;
using schedule::MakePlan;
using schedule::Plan;
using schedule::Policy;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::Le;
using ::testing::Not;

std::vector<std::string> Lines(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

int64_t Widest(const std::string& text) {
  int64_t widest = 0;
  for (const std::string& line : Lines(text)) widest = std::max(widest, DisplayWidth(line));
  return widest;
}

// With each sentence on one line.
std::string Unwrapped(std::string text) {
  for (size_t at = text.find("\n  "); at != std::string::npos; at = text.find("\n  ")) text.replace(at, 3, " ");
  return text;
}

std::string Table(const schedule::PlanRequest& request) { return PlanTable(MakePlan(request)); }

TEST(PlanTable, ShowsThePapersGrowingScheduleBesideItsReference) {
  const std::string table =
      PlanTable(MakePlan(PaperRequest(Policy::kGrow, 50'000)), {.config = "grow.toml", .train_set = "CIFAR-10"});
  EXPECT_THAT(table, HasSubstr(R"(plan of grow.toml
50,000 training examples (CIFAR-10), 204.8 epochs = 10,240,000 examples

phase           epochs  updates   batch  lr   momentum  noise*  exact  lost  | reference lr  batch
    1     0.00 - 60.00   23,438     128  0.1       0.9   390.6  389.6  0.03  | 0.1             128
    2   60.00 - 120.01    4,688     640  0.1       0.9   78.13  77.13  0.13  | 0.02            128
    3  120.01 - 160.01      625   3,200  0.1       0.9   15.63  14.63  0.64  | 0.004           128
    4  160.01 - 204.80      140  16,000  0.1       0.9   3.125  2.125  3.20  | 0.0008          128  !
)"));
  EXPECT_THAT(table, HasSubstr("\n28,891 updates instead of 80,000: 2.8 times fewer sequential steps\n"));
  EXPECT_THAT(table, HasSubstr("up to 3.20 in 1 phase"));
  EXPECT_THAT(Unwrapped(table), HasSubstr("of the 60 epochs before the reference's noise has fallen to half."));
  EXPECT_THAT(table, HasSubstr("The batch reaches 16,000, more than a tenth of the 50,000 training examples"));
}

TEST(PlanTable, NamesEveryCornerCaseInForceWithItsSentence) {
  schedule::PlanRequest request = PaperRequest(Policy::kGrow, 5'120);
  request.epoch_tail = schedule::EpochTail::kShort;
  const std::string table = Table(request);
  for (const char* option :
       {"policy", "rule", "noise_form", "rounding", "at_cap", "epoch_tail", "boundary", "momentum_buffer"}) {
    EXPECT_THAT(table, HasSubstr("\n  " + std::string(option) + " "));
  }
  EXPECT_THAT(table, HasSubstr(" small_batch  lr (N/B) / (1-m)\n"));
  EXPECT_THAT(table, HasSubstr(" nearest      the nearest integer; hysteresis = 0\n"));
  EXPECT_THAT(table, HasSubstr(" short        the last update of each epoch is short\n"));
  EXPECT_THAT(table, HasSubstr(" hybrid       the rest of the noise drop goes to the learning rate\n"));
}

TEST(PlanTable, GivesTheNumbersOfTheRoundingInForce) {
  schedule::PlanRequest request = PaperRequest(Policy::kGrow, 5'120);
  request.hysteresis = 0.25;
  request.rounding = schedule::Rounding::kMultiple;
  request.batch_multiple = 32;
  EXPECT_THAT(Table(request), HasSubstr("multiple of batch_multiple; hysteresis = 0.25, batch_multiple = 32\n"));
  request.rounding = schedule::Rounding::kPower;
  request.growth_factor = 5;
  EXPECT_THAT(Table(request), HasSubstr(" growth_factor = 5\n"));
}

TEST(PlanTable, GivesTheFormulaOfTheRuleInForce) {
  schedule::PlanRequest request = PaperRequest(Policy::kGrow, 5'120);
  request.law = {schedule::ScalingRule::kSquareRoot, schedule::NoiseForm::kSmallBatch};
  EXPECT_THAT(Table(request), HasSubstr("\n  noise_form       small_batch  lr sqrt(N/B) / (1-m)\n"));
  request.law = {schedule::ScalingRule::kSeesaw, schedule::NoiseForm::kExact};
  EXPECT_THAT(Table(request), HasSubstr("\n  noise_form       exact        lr sqrt(N/B - 1) / (1-m)\n"));
}

TEST(PlanTable, ShowsTheReferencesMomentumWhereItIsNotTheRuns) {
  schedule::PlanRequest request = PaperRequest(Policy::kGrow, 5'120);
  EXPECT_THAT(Lines(Table(request))[2], EndsWith("| reference lr  batch"));
  request.momentum = 0.95;
  const auto lines = Lines(Table(request));
  EXPECT_THAT(lines[2], EndsWith("| reference lr  batch  momentum"));
  EXPECT_THAT(lines[3], AllOf(HasSubstr("    0.95  "), EndsWith("| 0.1             128       0.9")));
}

TEST(PlanTable, ShowsTheReferencesNoiseWhereTheRunHoldsIt) {
  schedule::PlanRequest request = PaperRequest(Policy::kGrow, 640);
  request.at_cap = AtCap::kHold;
  const auto lines = Lines(Table(request));
  EXPECT_THAT(lines[2], EndsWith("| reference lr  batch  noise*"));
  EXPECT_THAT(lines[6], HasSubstr("78.13  77.13  0.13  | 0.0008          128   3.125"));
}

TEST(PlanTable, ShowsNoiseThatChangesInsideAPhaseAsARange) {
  schedule::PlanRequest request = PaperRequest(Policy::kDecay, 5'000);
  request.reference.learning_rate =
      schedule::LearningRate(0.1, schedule::Polynomial{}, Examples{10'000'000}, {.length = Examples{250'000}});
  const auto lines = Lines(Table(request));
  EXPECT_THAT(lines[3], HasSubstr("     0 to 381        0 to 380  0.03  | 0 to 0.0975 "));
  EXPECT_THAT(lines[4], HasSubstr("  381 to 0.005  380 to 0.00499  0.03  | 0.0975 to 1.28e-06 "));
}

TEST(PlanTable, SaysThatShortUpdatesRunAtAnotherRate) {
  schedule::PlanRequest request = PaperRequest(Policy::kGrow, 50'000);
  EXPECT_THAT(Table(request), Not(HasSubstr("Short updates")));  // but for the run's last one
  request.epoch_tail = schedule::EpochTail::kShort;
  EXPECT_THAT(Table(request), AllOf(HasSubstr("Short updates (epoch_tail, boundary) run at a learning rate below"),
                                    HasSubstr("down to 80\n  examples of 640 at lr 0.0125 in phase 2")));
}

TEST(PlanTable, MarksWhereTheBatchIsAtItsCap) {
  const auto lines = Lines(Table(PaperRequest(Policy::kGrow, 5'120)));
  EXPECT_THAT(lines[5], AllOf(HasSubstr("3,200"), Not(HasSubstr("cap"))));
  EXPECT_THAT(lines[6], AllOf(HasSubstr("5,120"), HasSubstr("0.032"), HasSubstr("cap")));
}

TEST(PlanTable, ReferenceItselfHasNothingToSaveAndNothingToWarnOf) {
  const std::string table = Table(PaperRequest(Policy::kDecay, 50'000));
  EXPECT_THAT(table, HasSubstr("80,000 updates, as many as the reference"));
  EXPECT_THAT(table, Not(HasSubstr("!")));
  EXPECT_THAT(table, Not(HasSubstr("at_cap")));
}

TEST(PlanTable, WarnsWhereHoldingLeavesTheReference) {
  schedule::PlanRequest request = PaperRequest(Policy::kGrow, 640);
  request.at_cap = AtCap::kHold;
  EXPECT_THAT(Table(request), HasSubstr("stays above the reference's, up to 25 times"));
  request.at_cap = AtCap::kHybrid;
  EXPECT_THAT(Table(request), Not(HasSubstr("stays above")));
}

TEST(PlanTable, WarnsWhereRoundingRaisesTheLearningRate) {
  // 96 becomes 256.
  schedule::PlanRequest request = PaperRequest(Policy::kGrow, 5'120);
  request.reference.global_batch = Examples{96};
  EXPECT_THAT(Table(request), Not(HasSubstr("The learning rate reaches")));
  request.rounding = schedule::Rounding::kMultiple;
  request.batch_multiple = 256;
  EXPECT_THAT(Unwrapped(Table(request)),
              AllOf(HasSubstr("! The learning rate reaches 0.2667 in phase 1, 2.67 times what is meant to be its "
                              "largest, 0.1 (schedule.learning_rate; "),
                    HasSubstr("schedule.rounding = nearest stays closer to it.")));
  request.reference.learning_rate =
      schedule::LearningRate(0.1, schedule::Constant{}, Examples{10'000'000}, {.length = Examples{250'000}});
  EXPECT_THAT(Table(request), HasSubstr("The learning rate reaches 0.26")) << "after the warm-up";
  request.learning_rate = 0.25;  // the batch is 240 then
  EXPECT_THAT(Table(request), HasSubstr("1.07 times"));
  request.batch_multiple = 240;
  EXPECT_THAT(Table(request), Not(HasSubstr("The learning rate reaches")));
}

TEST(PlanTable, ShowsTheWorkersOfEachPhaseWhereTheyGrow) {
  const std::string table =
      PlanTable(MakePlan(PaperRequest(Policy::kGrow, 50'000)),
                {.config = "", .train_set = "", .workers = {.of_phases = {1, 5, 25, 1250}, .worker_batch = 1'280}});
  EXPECT_THAT(table, HasSubstr(R"(
phase           epochs  updates   batch  workers  lr   momentum  noise*  exact  lost  | reference lr  batch
    1     0.00 - 60.00   23,438     128        1  0.1       0.9   390.6  389.6  0.03  | 0.1             128
    2   60.00 - 120.01    4,688     640        5  0.1       0.9   78.13  77.13  0.13  | 0.02            128
    3  120.01 - 160.01      625   3,200       25  0.1       0.9   15.63  14.63  0.64  | 0.004           128
    4  160.01 - 204.80      140  16,000    1,250  0.1       0.9   3.125  2.125  3.20  | 0.0008          128  !
)"));
  EXPECT_THAT(table, HasSubstr("\nworkers: one for each 1,280 examples of the batch (run.worker_batch), "));
  EXPECT_THAT(Widest(table), Le(120));
}

TEST(PlanTable, IsAtMostFortyRowsHigh) {
  const Plan plan = MakePlan(CosineRequest());
  ASSERT_GT(plan.phases().size(), 300);
  const std::string table = PlanTable(plan);
  EXPECT_THAT(table, HasSubstr("\n  ... " + WithThousands(static_cast<int64_t>(plan.phases().size()) - 40) +
                               " more phases ...\n"));
  EXPECT_THAT(table, HasSubstr(" to "));  // a learning rate that moves inside a phase
  EXPECT_THAT(Lines(table).size(), Le(64));
}

TEST(PlanTable, LeavesOutWhatMattersLeastOnANarrowTerminal) {
  schedule::PlanRequest request = PaperRequest(Policy::kGrow, 5'120);
  const Plan plan = MakePlan(request);
  const std::string whole = PlanTable(plan);
  EXPECT_THAT(Widest(whole), AllOf(Gt(100), Le(120)));
  EXPECT_EQ(PlanTable(plan, {.config = "", .train_set = "", .width = 200}), whole);
  const std::string narrow = PlanTable(plan, {.config = "", .train_set = "", .width = 80});
  EXPECT_EQ(Lines(narrow)[2], "phase           epochs  updates  batch  lr     noise*  lost  | reference lr");
  EXPECT_THAT(Lines(narrow)[6], HasSubstr(" cap"));
  // Down to the columns that no table is without.
  for (int64_t width = 78; width <= 130; ++width) {
    for (const schedule::PlanRequest& any : {request, CosineRequest()}) {
      const std::string table = PlanTable(MakePlan(any), {.config = "", .train_set = "", .width = width});
      EXPECT_THAT(Widest(table), Le(width));
      EXPECT_EQ(Lines(table)[2].find("lost") == std::string::npos,
                table.find("lost: epochs while") == std::string::npos);
    }
  }
}

TEST(PlanTable, WithoutMomentumNoBufferLosesEpochs) {
  schedule::PlanRequest request = PaperRequest(Policy::kGrow, 5'000);
  request.reference.learning_rate =
      schedule::LearningRate(0.1, schedule::Step{{Examples{50'000}}, 0.05}, Examples{500'000});
  EXPECT_THAT(Table(request), AllOf(HasSubstr("epochs are lost while"), HasSubstr("lost: epochs")));
  request.momentum = request.reference.momentum = 0.0;
  EXPECT_THAT(Table(request), Not(HasSubstr("lost")));
}

// Batches of 128, 640, 3200 and 5120, for 23,438, 4688, 625 and 438 updates.
TEST(PlanTable, WarnsWhereAdamsSecondMomentIsOfASmallerBatch) {
  const auto table = [](Policy policy, double beta2) {
    return PlanTable(MakePlan(PaperRequest(policy, 5'120)), {.config = "", .train_set = "", .beta2 = beta2});
  };
  const auto warning = HasSubstr("Adam's second moment");
  EXPECT_THAT(table(Policy::kGrow, 0.999),
              AllOf(HasSubstr("1 / (1 - beta2) = 1000 updates"), HasSubstr("Phase 4 has 438 ")));
  EXPECT_THAT(table(Policy::kGrow, 0.975), Not(warning)) << "40 updates";
  EXPECT_THAT(table(Policy::kGrow, 0.98), warning) << "50 updates";
  EXPECT_THAT(table(Policy::kDecay, 0.999), Not(warning));
  EXPECT_THAT(table(Policy::kGrow, 0), Not(warning));
}

TEST(PlanTable, WarnsWhereGhostBatchesGrow) {
  const auto table = [](Policy policy, int64_t ghost_batch) {
    return PlanTable(MakePlan(PaperRequest(policy, 5'120)),
                     {.config = "", .train_set = "", .ghost_batch = ghost_batch});
  };
  const auto warning = HasSubstr("! model.ghost_batch = ");
  EXPECT_THAT(table(Policy::kGrow, 256),
              AllOf(HasSubstr("! model.ghost_batch = 256 is more than the smallest batch, 128:"),
                    HasSubstr("which grows to 256 examples."), HasSubstr("model.ghost_batch = 128 keeps it.")));
  EXPECT_THAT(table(Policy::kGrow, 9'999), HasSubstr("which grows to 5120 examples."));
  EXPECT_THAT(table(Policy::kGrow, 128), Not(warning));
  EXPECT_THAT(table(Policy::kGrow, 0), Not(warning)) << "there is no batch norm";
  EXPECT_THAT(table(Policy::kDecay, 256), Not(warning)) << "all ghost batches hold 128";
}

TEST(PlanTable, WarnsOfBatchNormOverOneExample) {
  schedule::PlanRequest request = PaperRequest(Policy::kDecay, 5'120);
  const auto table = [&](int64_t ghost_batch) {
    return PlanTable(MakePlan(request), {.config = "", .train_set = "", .ghost_batch = ghost_batch});
  };
  request.reference.global_batch = Examples{1};
  EXPECT_THAT(table(2), HasSubstr("! A batch of 1 has no statistics for batch norm"));
  EXPECT_THAT(table(0), Not(HasSubstr("A batch of 1")));
  request.reference.global_batch = Examples{2};
  EXPECT_THAT(table(2), Not(HasSubstr("A batch of 1")));
}

TEST(PlanJson, HoldsTheWholePlanExactly) {
  const Plan plan = MakePlan(PaperRequest(Policy::kGrow, 5'120));
  const auto json = nlohmann::json::parse(PlanJson(plan));
  EXPECT_EQ(json["train_examples"], 50'000);
  EXPECT_EQ(json["epochs"], 204.8);
  EXPECT_EQ(json["total_examples"], 10'240'000);
  EXPECT_EQ(json["total_updates"], plan.total_updates().value());
  EXPECT_EQ(json["reference_updates"], 80'000);
  EXPECT_EQ(json["policy"], "grow");
  EXPECT_EQ(json["rule"], "linear");
  EXPECT_EQ(json["noise_form"], "small_batch");
  EXPECT_EQ(json["at_cap"], "hybrid");
  EXPECT_EQ(json["momentum_buffer"], "keep");
  ASSERT_EQ(json["phases"].size(), 4);
  const auto& last = json["phases"][3];
  EXPECT_EQ(last["end_example"], 10'240'000);
  EXPECT_EQ(last["learning_rate"].get<double>(), plan.phases()[3].learning_rate);
  EXPECT_EQ(last["noise_scale_exact"].get<double>(), plan.phases()[3].noise_scale_exact);
  EXPECT_EQ(last["at_cap"], true);
  EXPECT_EQ(last.size(), 15);
}

TEST(PlanJson, HoldsTheWorkersOfEachPhaseWhereTheyGrow) {
  const Plan plan = MakePlan(PaperRequest(Policy::kGrow, 5'120));
  const PlanWorkers workers = {.of_phases = {1, 2, 3, 4}, .worker_batch = 320};
  const auto json = nlohmann::json::parse(PlanJson(plan, workers));
  EXPECT_EQ(json["worker_batch"], 320);
  EXPECT_EQ(json["phases"][2]["workers"], 3);
  const auto lines = Lines(PlanCsv(plan, workers));
  ASSERT_EQ(lines.size(), 5);
  EXPECT_TRUE(lines[0].ends_with(",at_cap,workers")) << lines[0];
  EXPECT_TRUE(lines[4].ends_with(",true,4")) << lines[4];
  EXPECT_THAT(PlanJson(plan), Not(HasSubstr("worker")));
}

TEST(PlanCsv, HasTheFieldsOfTheJson) {
  const Plan plan = MakePlan(PaperRequest(Policy::kGrow, 5'120));
  const auto lines = Lines(PlanCsv(plan));
  ASSERT_EQ(lines.size(), 5);
  EXPECT_THAT(lines[0], HasSubstr("begin_example,end_example,begin_update,updates,global_batch,learning_rate,"));
  EXPECT_THAT(lines[1], HasSubstr("0,3000064,0,23438,128,0.1,0.1,0.9,390.62"));
}

TEST(PlanUpdates, GiveEveryUpdateWithNumbersThatComeBackExactly) {
  for (const Plan& plan : {MakePlan(PaperRequest(Policy::kGrow, 5'120)), MakePlan(CosineRequest())}) {
    std::ostringstream out;
    PlanUpdates(plan, Format::kJson, out);
    const auto lines = Lines(out.str());
    ASSERT_EQ(static_cast<int64_t>(lines.size()), plan.total_updates().value());
    int64_t seen = 0;
    for (size_t k = 0; k < lines.size(); k += k + 7 < lines.size() ? 7 : 1) {
      const auto json = nlohmann::json::parse(lines[k]);
      const schedule::Setting setting = plan.At(schedule::Updates{static_cast<int64_t>(k)});
      ASSERT_EQ(json["update"], k);
      ASSERT_EQ(json["example"], setting.begin.value());
      ASSERT_EQ(json["global_batch"], setting.global_batch.value());
      ASSERT_EQ(json["learning_rate"].get<double>(), setting.learning_rate);
      ASSERT_EQ(json["momentum"].get<double>(), setting.momentum);
      ASSERT_EQ(json["noise_scale"].get<double>(), setting.noise_scale);
      ASSERT_EQ(json["reference_noise_scale"].get<double>(), setting.reference_noise_scale);
      seen = json["example"].get<int64_t>() + json["global_batch"].get<int64_t>();
    }
    EXPECT_EQ(seen, plan.total_examples().value());
  }
}

TEST(PlanUpdates, SayTheSameInEveryFormat) {
  schedule::PlanRequest request = PaperRequest(Policy::kGrow, 50'000);
  const Plan plan = MakePlan(request);
  std::ostringstream csv;
  PlanUpdates(plan, Format::kCsv, csv);
  const auto rows = Lines(csv.str());
  ASSERT_EQ(static_cast<int64_t>(rows.size()), plan.total_updates().value() + 1);
  EXPECT_EQ(rows[0], "update,example,global_batch,learning_rate,momentum,noise_scale,reference_noise_scale");
  EXPECT_THAT(rows[2], HasSubstr("1,128,128,0.1,0.9,390.62"));
  std::ostringstream table;
  PlanUpdates(plan, Format::kTable, table);
  const auto lines = Lines(table.str());
  ASSERT_EQ(lines.size(), rows.size());
  EXPECT_EQ(lines[0], "update     example   batch           lr  momentum        noise  reference noise");
  EXPECT_EQ(lines.back(), "28,890  10,224,384  15,616       0.0976       0.9        3.125            3.125");
}

}  // namespace
}  // namespace crescendo::report
