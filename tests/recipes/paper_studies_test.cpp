// The studies of recipes/paper ask what the paper asked: its optimizers, rates, batches and numbers of updates, and the
// small ones the same on another scale. Numbers by hand: updates are the examples of each phase over its batch, rounded
// up, in epochs of 50,000 examples.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "crescendo/config/plan_request.h"
#include "crescendo/schedule/planner.h"
#include "crescendo/study/study.h"
#include "crescendo/study/trials.h"

namespace crescendo::study {
namespace {

namespace fs = std::filesystem;
using config::OptimizerName;

constexpr int64_t kCifar10 = 50'000;

schedule::Plan PlanOf(const config::Options& options) {
  return schedule::MakePlan(config::MakePlanRequest(options, kCifar10));
}

Study PaperStudy(const std::string& name) { return LoadStudy(fmt::format("recipes/paper/{}.toml", name)); }

// Updates by the name of the variant; all seeds of a variant take as many.
std::map<std::string, int64_t> UpdatesOf(const Study& study) {
  std::map<std::string, int64_t> updates;
  for (const Trial& trial : MakeTrials(study, PlanOf)) {
    const auto [known, is_new] = updates.emplace(study.variants[trial.variant].name, trial.total_updates);
    EXPECT_EQ(known->second, trial.total_updates) << study.name;
  }
  return updates;
}

struct Row {
  std::string study;  // its small sibling is called study-small
  OptimizerName optimizer;
  double learning_rate;
  double momentum;
};

const std::vector<Row>& Rows() {
  static const std::vector<Row> rows = {{"5.1-momentum", OptimizerName::kMomentum, 0.1, 0.9},
                                        {"5.1-nesterov", OptimizerName::kNesterov, 0.1, 0.9},
                                        {"5.1-sgd", OptimizerName::kSgd, 0.1, 0},
                                        {"5.1-adam", OptimizerName::kAdam, 1e-3, 0.9},
                                        {"5.2", OptimizerName::kMomentum, 0.1, 0.9},
                                        {"appendix-B", OptimizerName::kMomentum, 0.1, 0.9}};
  return rows;
}

TEST(PaperStudies, AreTheseAndNoOthers) {
  std::set<std::string> expected;
  for (const Row& row : Rows()) expected.insert({row.study, row.study + "-small"});
  std::set<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator("recipes/paper")) {
    if (IsStudyFile(entry.path())) found.insert(entry.path().stem().string());
  }
  EXPECT_EQ(found, expected);
}

TEST(PaperStudies, TrainAsThePaperDid) {
  for (const Row& row : Rows()) {
    for (const bool small : {false, true}) {
      const Study study = PaperStudy(row.study + (small ? "-small" : ""));
      SCOPED_TRACE(study.name);
      EXPECT_EQ(study.seeds.size(), 5);
      EXPECT_EQ(study.reference, 0);
      for (const Variant& variant : study.variants) {
        const config::Options& options = variant.options;
        EXPECT_EQ(options.optimizer.name, row.optimizer);
        EXPECT_EQ(options.optimizer.weight_decay, 5e-4);
        EXPECT_TRUE(options.optimizer.decay_norm_and_bias);
        EXPECT_EQ(options.optimizer.beta2, 0.999);
        EXPECT_EQ(options.reference.momentum, row.momentum);
        // The small ones have a quarter of the batch, and so of the rate.
        EXPECT_DOUBLE_EQ(options.reference.learning_rate, small ? row.learning_rate / 4 : row.learning_rate);
        EXPECT_EQ(options.reference.global_batch, small ? 32 : 128);
        EXPECT_EQ(options.model.ghost_batch, small ? 32 : 128);
        EXPECT_EQ(options.reference.factor, 0.2);
      }
    }
  }
}

TEST(PaperStudies, OfSection51TakeThePapersUpdates) {
  for (const std::string optimizer : {"momentum", "nesterov", "sgd", "adam"}) {
    // 60 epochs at 128: 23,437.5. The 144.8 others at 640: 11,312.5. Or 60 at 640, 40 at 3200, 44.8 at 16,000: 4687.5,
    // 625 and 140.
    EXPECT_EQ(UpdatesOf(PaperStudy("5.1-" + optimizer)),
              (std::map<std::string, int64_t>{{"decay", 80'000}, {"hybrid", 34'751}, {"grow", 28'891}}));
    // 6 epochs at 32: 9375. The 14.48 others at 160: 4525. Or 6 at 160, 4 at 800, 4.48 at 4000: 1875, 250 and 56.
    EXPECT_EQ(UpdatesOf(PaperStudy("5.1-" + optimizer + "-small")),
              (std::map<std::string, int64_t>{{"decay", 32'000}, {"hybrid", 13'900}, {"grow", 11'556}}));
  }
}

TEST(PaperStudies, OfSection52TakeThePapersUpdates) {
  EXPECT_EQ(UpdatesOf(PaperStudy("5.2")),
            (std::map<std::string, int64_t>{
                {"original", 80'000}, {"increasing", 29'189}, {"increased_lr", 6'454}, {"increased_momentum", 2'352}}));
  EXPECT_EQ(UpdatesOf(PaperStudy("5.2-small")),
            (std::map<std::string, int64_t>{
                {"original", 32'000}, {"increasing", 11'675}, {"increased_lr", 2'582}, {"increased_momentum", 941}}));
}

// 128 at 0.1 to 4096 at 3.2. The small ones carry the paper's rates in their names.
TEST(PaperStudies, OfAppendixBBeginWithABatchInProportionToTheRate) {
  for (const bool small : {false, true}) {
    const Study study = PaperStudy(small ? "appendix-B-small" : "appendix-B");
    SCOPED_TRACE(study.name);
    ASSERT_EQ(study.variants.size(), 6);
    int64_t times = 1;
    for (const Variant& variant : study.variants) {
      const schedule::Phase& first = PlanOf(variant.options).phases().front();
      EXPECT_EQ(variant.name, fmt::format("lr_{:.1f}", 0.1 * static_cast<double>(times)));
      EXPECT_EQ(first.global_batch.value(), (small ? 32 : 128) * times) << variant.name;
      EXPECT_DOUBLE_EQ(first.learning_rate, (small ? 0.025 : 0.1) * static_cast<double>(times)) << variant.name;
      times *= 2;
    }
  }
}

// Drops at the same shares of the run, and the same noise.
TEST(PaperStudies, SmallOnesKeepTheRatiosOfTheirSiblings) {
  for (const Row& row : Rows()) {
    const Study full = PaperStudy(row.study);
    const Study small = PaperStudy(row.study + "-small");
    ASSERT_EQ(full.variants.size(), small.variants.size()) << row.study;
    for (size_t i = 0; i < full.variants.size(); ++i) {
      SCOPED_TRACE(row.study + ": " + full.variants[i].name);
      EXPECT_EQ(full.variants[i].name, small.variants[i].name);
      const schedule::Plan ours = PlanOf(small.variants[i].options);
      const schedule::Plan theirs = PlanOf(full.variants[i].options);
      EXPECT_EQ(theirs.total_examples().value(), 10 * ours.total_examples().value());
      const config::ReferenceOptions& few = small.variants[i].options.reference;
      const config::ReferenceOptions& many = full.variants[i].options.reference;
      ASSERT_EQ(few.boundaries.size(), 3);
      ASSERT_EQ(many.boundaries.size(), 3);
      for (size_t k = 0; k < 3; ++k) {
        EXPECT_EQ(many.boundaries[k].Resolve({kCifar10}).value(), 10 * few.boundaries[k].Resolve({kCifar10}).value());
      }
      ASSERT_EQ(ours.phases().size(), theirs.phases().size());
      for (size_t k = 0; k < ours.phases().size(); ++k) {
        EXPECT_EQ(theirs.phases()[k].global_batch.value(), 4 * ours.phases()[k].global_batch.value());
        EXPECT_NEAR(ours.phases()[k].noise_scale / theirs.phases()[k].noise_scale, 1, 1e-12);
        EXPECT_EQ(ours.phases()[k].momentum, theirs.phases()[k].momentum);
      }
    }
  }
}

}  // namespace
}  // namespace crescendo::study
