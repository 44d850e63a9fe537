// Every recipe loads and can be planned, and the paper's give the paper's numbers of updates.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "crescendo/base/file.h"
#include "crescendo/config/load.h"
#include "crescendo/config/plan_request.h"
#include "crescendo/schedule/planner.h"
#include "crescendo/schedule/workers.h"

namespace crescendo::config {
namespace {

namespace fs = std::filesystem;
using ::testing::StartsWith;

std::vector<fs::path> Recipes() {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator("recipes")) {
    if (entry.path().extension() != ".toml") continue;
    const std::string text = ReadFile(entry.path());
    if (text.find("\n[variants.") == std::string::npos) files.push_back(entry.path());  // else a study: study_test.cpp
  }
  return files;
}

// As their authors publish them; nothing here reads the data themselves.
const std::map<std::string, int64_t> kTrainExamples = {{"recipes/adult", 32'561},
                                                       {"recipes/cifar10_small", 50'000},
                                                       {"recipes/fashion_mnist", 60'000},
                                                       {"recipes/letter", 16'000},
                                                       {"recipes/paper/cifar10", 50'000}};

constexpr int64_t kImageNet = 1'281'167;

schedule::Plan PlanOf(const fs::path& recipe) {
  const std::string folder = recipe.parent_path().string();
  if (folder == "recipes/paper/imagenet") return schedule::MakePlan(MakePlanRequest(LoadFile(recipe), kImageNet));
  const auto examples = kTrainExamples.find(folder);
  if (examples == kTrainExamples.end())
    throw std::runtime_error("a folder new to this test: say how large its data are");
  return schedule::MakePlan(MakePlanRequest(LoadFile(recipe), examples->second));
}

TEST(Recipes, AllLoadAndSayWhatTheyAre) {
  const std::vector<fs::path> recipes = Recipes();
  ASSERT_GE(recipes.size(), 24U);
  for (const fs::path& recipe : recipes) {
    SCOPED_TRACE(recipe.string());
    std::string first_line;
    std::ifstream file_of_recipe(recipe);
    std::getline(file_of_recipe, first_line);
    EXPECT_THAT(first_line, StartsWith("# "));
    const Options options = LoadFile(recipe);
    for (const std::string& file : {options.data.train_file, options.data.test_file}) {
      EXPECT_TRUE(file.empty() || fs::exists(file)) << file;
    }
    EXPECT_GT(PlanOf(recipe).total_updates(), schedule::Updates{0});
  }
}

// Equal noise for equally many examples: what decay, hybrid and grow are compared for.
TEST(Recipes, TheSchedulesOfAFolderDifferInTheirUpdatesAlone) {
  for (const auto& [folder, examples] : kTrainExamples) {
    SCOPED_TRACE(folder);
    const schedule::Plan decay = PlanOf(fs::path(folder) / "decay.toml");
    const schedule::Plan hybrid = PlanOf(fs::path(folder) / "hybrid.toml");
    const schedule::Plan grow = PlanOf(fs::path(folder) / "grow.toml");
    EXPECT_EQ(decay.total_updates(), decay.reference_updates());
    EXPECT_LT(hybrid.total_updates(), decay.total_updates());
    EXPECT_LT(grow.total_updates(), hybrid.total_updates());
    for (const schedule::Plan* plan : {&hybrid, &grow}) {
      EXPECT_EQ(plan->total_examples(), decay.total_examples());
      EXPECT_EQ(plan->reference_updates(), decay.reference_updates());
      ASSERT_EQ(plan->phases().size(), decay.phases().size());
      for (size_t i = 0; i < decay.phases().size(); ++i) {
        EXPECT_NEAR(plan->phases()[i].noise_scale / decay.phases()[i].noise_scale, 1, 1e-12);
      }
    }
  }
}

struct PaperRow {
  const char* recipe;
  double paper_updates;  // N/B counts added up, as the paper counts; it prints about 29,000, 6,500 and 2,500 for the
                         // last three
};

const PaperRow kPaperRows[] = {{"decay", 80'000},
                               {"hybrid", 34'750},
                               {"grow", 28'890},
                               {"original", 80'000},
                               {"increasing", 29'187.5},
                               {"increased_lr", 6453.125},
                               {"increased_momentum", 2351.5625}};

// As the paper prints them, rounded.
const PaperRow kImageNetRows[] = {{"5.3a-decay", 14'075},
                                  {"5.3a-grow", 5'630},
                                  {"5.3b-momentum-0.9", 5'865},
                                  {"5.3b-momentum-0.95", 3'519},
                                  {"5.3b-momentum-0.975", 2'346}};

TEST(Recipes, TheImageNetPlansTakeThePapersUpdates) {
  for (const PaperRow& row : kImageNetRows) {
    SCOPED_TRACE(row.recipe);
    const schedule::Plan plan = PlanOf(fmt::format("recipes/paper/imagenet/{}.toml", row.recipe));
    EXPECT_NEAR(static_cast<double>(plan.total_updates().value()), row.paper_updates, 4);
    EXPECT_EQ(plan.total_examples(), schedule::Examples{90 * kImageNet});
  }
  const schedule::Plan doubled = PlanOf("recipes/paper/imagenet/5.4.toml");
  EXPECT_EQ(doubled.phases().front().global_batch, schedule::Examples{8192});
  EXPECT_EQ(doubled.largest_batch(), schedule::Examples{16'384});
}

struct WorkersRow {
  const char* recipe;
  std::vector<int64_t> workers;  // of each phase: its batch over the ghost batch
};

// By hand: 8192 / 32 = 256, 81,920 / 32 = 2560; 8192 / 64 = 128, and twice that for each doubling, up to 65,536 / 64.
const std::vector<WorkersRow>& ImageNetWorkers() {
  static const std::vector<WorkersRow> rows = {{"5.3a-decay", {256, 256, 256, 256}},
                                               {"5.3a-grow", {256, 2560, 2560, 2560}},
                                               {"5.3b-momentum-0.9", {128, 1024, 1024, 1024}},
                                               {"5.3b-momentum-0.95", {256, 1024, 1024, 1024}},
                                               {"5.3b-momentum-0.975", {512, 1024, 1024, 1024}}};
  return rows;
}

TEST(Recipes, TheImageNetPlansShareABatchThatGrowsAmongAsManyMoreWorkers) {
  const auto workers_of = [](const std::string& name) {
    const std::string recipe = fmt::format("recipes/paper/imagenet/{}.toml", name);
    const Options options = LoadFile(recipe);
    EXPECT_EQ(options.run.workers, Workers::kGrow) << name;
    EXPECT_FALSE(options.run.worker_batch) << name;  // so it is the ghost batch
    return schedule::GrowingWorkers(PlanOf(recipe), schedule::Examples{options.model.ghost_batch});
  };
  for (const WorkersRow& row : ImageNetWorkers()) EXPECT_EQ(workers_of(row.recipe), row.workers) << row.recipe;

  // 5.4: from epoch 30 on twice as many. The phases of the warm-up are as many workers as those after it.
  const schedule::Plan plan = PlanOf("recipes/paper/imagenet/5.4.toml");
  const std::vector<int64_t> workers = workers_of("5.4");
  ASSERT_EQ(workers.size(), plan.phases().size());
  for (size_t i = 0; i < workers.size(); ++i) {
    const bool begun = plan.phases()[i].begin_example >= schedule::Examples{30 * kImageNet};
    EXPECT_EQ(workers[i], begun ? 256 : 128) << i;
  }
}

TEST(Recipes, ThePapersTakeThePapersUpdates) {
  for (const PaperRow& row : kPaperRows) {
    SCOPED_TRACE(row.recipe);
    const schedule::Plan plan = PlanOf(fmt::format("recipes/paper/cifar10/{}.toml", row.recipe));
    const auto updates = static_cast<double>(plan.total_updates().value());
    EXPECT_GE(updates, row.paper_updates);  // a run takes whole updates: less than one more per phase
    EXPECT_LT(updates, row.paper_updates + 4);
    EXPECT_EQ(plan.total_examples(), schedule::Examples{10'240'000});
  }
}

}  // namespace
}  // namespace crescendo::config
