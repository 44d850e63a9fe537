// The paper's schedules as the program prints them: every row of the tables of Smith et al. (ICLR 2018), sections 5.1
// and 5.2, by the recipes of this repository, and the equality of noise at every one of their updates.
#include <cmath>
#include <cstdint>
#include <limits>
#include <sstream>

#include "tests/cli/program.h"

namespace crescendo::cli {
namespace {

using nlohmann::json;

struct Row {
  const char* recipe;
  double momentum;
  std::vector<int64_t> batches;
  std::vector<double> rates;
  int64_t updates;  // N/B counts of the paper's epochs, fractional, rounded
  int64_t whole;    // of them, as whole updates, one more at most in each phase
};

const std::vector<Row>& PaperRows() {
  static const std::vector<Row> rows = {
      {"decay", 0.9, {128, 128, 128, 128}, {0.1, 0.02, 0.004, 0.0008}, 80'000, 80'000},
      {"hybrid", 0.9, {128, 640, 640, 640}, {0.1, 0.1, 0.02, 0.004}, 34'750, 34'751},
      {"grow", 0.9, {128, 640, 3200, 16'000}, {0.1, 0.1, 0.1, 0.1}, 28'890, 28'891},
      {"original", 0.9, {128, 128, 128, 128}, {0.1, 0.02, 0.004, 0.0008}, 80'000, 80'000},
      {"increasing", 0.9, {128, 640, 3200, 5120}, {0.1, 0.1, 0.1, 0.032}, 29'188, 29'189},
      {"increased_lr", 0.9, {640, 3200, 5120, 5120}, {0.5, 0.5, 0.16, 0.032}, 6'453, 6'454},
      {"increased_momentum", 0.98, {3200, 5120, 5120, 5120}, {0.5, 0.16, 0.032, 0.0064}, 2'352, 2'352},
  };
  return rows;
}

class PaperRecipes : public ProgramTest {
 protected:
  static std::string Recipe(const std::string& name) {
    return (std::filesystem::current_path() / "recipes/paper/cifar10" / (name + ".toml")).string();
  }
  std::string Plan(const std::string& name, std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"plan", Recipe(name)});
    const support::ProcessResult result = Crescendo(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return result.output;
  }
};

TEST_F(PaperRecipes, PlanGivesTheBatchesRatesAndUpdatesOfThePaper) {
  for (const Row& row : PaperRows()) {
    const json plan = json::parse(Plan(row.recipe, {"--format", "json"}));
    EXPECT_EQ(plan["total_updates"], row.whole) << row.recipe;
    EXPECT_NEAR(plan["total_updates"].get<double>(), static_cast<double>(row.updates), 4) << row.recipe;
    EXPECT_EQ(plan["reference_updates"], 80'000);
    EXPECT_EQ(plan["total_examples"], 10'240'000);
    ASSERT_EQ(plan["phases"].size(), 4) << row.recipe;
    double noise = 390.625;
    for (size_t i = 0; i < 4; ++i, noise /= 5) {
      const json& phase = plan["phases"][i];
      EXPECT_EQ(phase["global_batch"], row.batches[i]) << row.recipe << " phase " << i + 1;
      EXPECT_NEAR(phase["learning_rate"], row.rates[i], 1e-12) << row.recipe << " phase " << i + 1;
      EXPECT_EQ(phase["momentum"], row.momentum);
      EXPECT_NEAR(phase["noise_scale"], noise, 1e-12 * noise) << row.recipe << " phase " << i + 1;
      EXPECT_NEAR(phase["lost_epochs"], static_cast<double>(row.batches[i]) / (50'000 * (1 - row.momentum)), 1e-12);
    }
  }
}

// Noise from what is printed, by the formula: eps N / (B (1 - m)), not from what the program calls noise.
TEST_F(PaperRecipes, EveryPrintedUpdateHasTheReferencesNoise) {
  for (const Row& row : PaperRows()) {
    std::istringstream lines(Plan(row.recipe, {"--updates", "--format", "csv"}));
    std::string line;
    std::getline(lines, line);
    int64_t updates = 0;
    double example = 0;
    double largest_gap = 0;
    for (; std::getline(lines, line); ++updates) {
      double update = 0, begin = 0, batch = 0, rate = 0, momentum = 0;
      char comma = 0;
      std::istringstream(line) >> update >> comma >> begin >> comma >> batch >> comma >> rate >> comma >> momentum;
      ASSERT_EQ(update, static_cast<double>(updates));
      ASSERT_EQ(begin, example);
      example += batch;
      const double epoch = begin / 50'000;
      const double reference = 390.625 * std::pow(0.2, (epoch >= 60) + (epoch >= 120) + (epoch >= 160));
      const double noise = rate * 50'000 / (batch * (1 - momentum));
      largest_gap = std::max(largest_gap, std::abs(noise / reference - 1));
    }
    EXPECT_EQ(updates, row.whole) << row.recipe;
    EXPECT_EQ(example, 10'240'000) << row.recipe;
    EXPECT_LE(largest_gap, 1e-12) << row.recipe;
  }
}

}  // namespace
}  // namespace crescendo::cli
