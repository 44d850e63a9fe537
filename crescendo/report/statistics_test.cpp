// SciPy's and statsmodels' numbers: testdata/statistics.json, made by testdata/make_statistics.py, which says what they
// are.
#include "crescendo/report/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "crescendo/base/file.h"

namespace crescendo::report {
namespace {

using nlohmann::json;

const json& Tables() {
  static const json tables = json::parse(ReadFile("crescendo/report/testdata/statistics.json"));
  return tables;
}

std::vector<double> Sample(const std::string& name) { return Tables()["samples"][name]["values"]; }

void ExpectNear(double ours, const json& theirs, const std::string& what) {
  const double value = theirs.get<double>();
  EXPECT_NEAR(ours, value, 1e-9 * std::max(1.0, std::abs(value))) << what;
}

TEST(Statistics, SummariesAreSciPys) {
  for (const auto& [name, expected] : Tables()["samples"].items()) {
    const Summary summary = Summarize(Sample(name));
    EXPECT_EQ(summary.n, expected["values"].size());
    ExpectNear(summary.mean, expected["mean"], name + " mean");
    ExpectNear(summary.deviation, expected["deviation"], name + " deviation");
    ExpectNear(summary.t_interval.low, expected["t_interval"][0], name + " t low");
    ExpectNear(summary.t_interval.high, expected["t_interval"][1], name + " t high");
    ExpectNear(summary.median, expected["median"], name + " median");
    ExpectNear(Quantile(Sample(name), 0.1), expected["quantile_0.1"], name + " quantile");
    // Both are random, with 10,000 and 200,000 resamples; the interval is about 1.7 deviations wide for five values.
    EXPECT_NEAR(summary.bootstrap_interval.low, expected["bootstrap_interval"][0], 0.03 * summary.deviation) << name;
    EXPECT_NEAR(summary.bootstrap_interval.high, expected["bootstrap_interval"][1], 0.03 * summary.deviation) << name;
  }
}

TEST(Statistics, BootstrapFollowsFromItsSeed) {
  const auto interval = [](uint64_t seed) {
    const Interval bootstrap = Summarize(Sample("dozen"), seed).bootstrap_interval;
    return std::pair(bootstrap.low, bootstrap.high);
  };
  EXPECT_EQ(interval(7), interval(7));
  EXPECT_NE(interval(7), interval(8));
}

TEST(Statistics, OneValueHasAMeanButNoInterval) {
  const Summary summary = Summarize(std::vector{96.5});
  EXPECT_EQ(summary.mean, 96.5);
  EXPECT_EQ(summary.worst, 96.5);
  EXPECT_TRUE(std::isnan(summary.deviation));
  EXPECT_TRUE(std::isnan(summary.t_interval.low));
  EXPECT_TRUE(std::isnan(summary.bootstrap_interval.high));
}

TEST(Statistics, DifferencesAndEquivalenceAreSciPysAndStatsmodels) {
  for (const json& expected : Tables()["differences"]) {
    const std::vector<double> a = Sample(expected["a"]);
    const std::vector<double> b = Sample(expected["b"]);
    const bool paired = expected["paired"];
    const std::string what = expected["a"].get<std::string>() + (paired ? " paired" : " Welch");
    const Difference difference = paired ? PairedDifference(a, b) : WelchDifference(a, b);
    ExpectNear(difference.value, expected["value"], what);
    ExpectNear(difference.t, expected["t"], what + " t");
    ExpectNear(difference.degrees_of_freedom, expected["degrees_of_freedom"], what + " degrees");
    ExpectNear(difference.p, expected["p"], what + " p");
    ExpectNear(difference.interval.low, expected["interval"][0], what + " low");
    ExpectNear(difference.interval.high, expected["interval"][1], what + " high");
    const Equivalence same = TestEquivalence(difference, Tables()["margin"]);
    ExpectNear(same.p_above, expected["p_above"], what + " above");
    ExpectNear(same.p_below, expected["p_below"], what + " below");
    ExpectNear(same.p, expected["p_equivalence"], what + " equivalence");
    // The interval of the tests: a margin that just holds it is just shown, at 5 %.
    const double reach = std::max(-same.interval.low, same.interval.high);
    EXPECT_NEAR(TestEquivalence(difference, reach).p, 0.05, 1e-9) << what;
  }
}

TEST(Statistics, EqualValuesAreTakenAtTheirWord) {
  const std::vector<double> same = {96.5, 96.5, 96.5};
  const std::vector<double> lower = {96.0, 96.0, 96.0};
  EXPECT_EQ(WelchDifference(same, lower).p, 0);
  EXPECT_EQ(PairedDifference(same, same).p, 1);
  EXPECT_EQ(TestEquivalence(PairedDifference(same, same), 0.3).p, 0);
  EXPECT_EQ(TestEquivalence(PairedDifference(same, lower), 0.3).p, 1);
}

TEST(Statistics, EqualValuesAreNotCertainWhereTheyComeInSteps) {
  const std::vector<double> ours = {97.5, 97.5};
  const std::vector<double> theirs = {97.4, 97.4};
  // Each value is off by up to half a step, evenly: variance step^2 / 12, twice that for a difference, half for the
  // mean.
  const double error = 0.1 / std::sqrt(12);
  EXPECT_NEAR(PairedDifference(ours, theirs, 0.1).standard_error, error, 1e-12);
  EXPECT_NEAR(WelchDifference(ours, theirs, 0.1).standard_error, error, 1e-12);
  EXPECT_GT(PairedDifference(ours, theirs, 0.1).p, 0.1);
  const std::vector<double> wide = {97.0, 98.0};
  EXPECT_EQ(PairedDifference(wide, theirs, 0.1).standard_error, PairedDifference(wide, theirs).standard_error);
}

TEST(Statistics, HolmIsStatsmodels) {
  const json& expected = Tables()["holm"];
  const std::vector<double> adjusted = HolmAdjusted(expected["p"].get<std::vector<double>>());
  ASSERT_EQ(adjusted.size(), expected["adjusted"].size());
  for (size_t i = 0; i < adjusted.size(); ++i) ExpectNear(adjusted[i], expected["adjusted"][i], std::to_string(i));
  EXPECT_TRUE(HolmAdjusted({}).empty());
}

TEST(Statistics, PowersAreStatsmodelsAndSciPysIntegral) {
  for (const json& row : Tables()["powers"]) {
    const double difference = row["difference"];
    const double error = row["standard_error"];
    const double degrees = row["degrees_of_freedom"];
    const double alpha = row["alpha"];
    EXPECT_NEAR(PowerOfDifference(difference, error, degrees, alpha), row["power_of_difference"], 1e-6) << row;
    EXPECT_NEAR(PowerOfEquivalence(difference, Tables()["margin"], error, degrees, alpha), row["power_of_equivalence"],
                1e-6)
        << row;
  }
}

TEST(Statistics, PowersFarOutAreNumbers) {
  for (const double degrees : {1.0, 4.0, 38.0, 1998.0}) {
    for (const double difference : {0.0, 1.0, 50.0}) {
      for (const double error : {1e-6, 1e-3, 1.0, 1e3}) {
        const double difference_power = PowerOfDifference(difference, error, degrees, 0.01);
        const double equivalence_power = PowerOfEquivalence(difference, 0.3, error, degrees, 0.01);
        EXPECT_TRUE(difference_power >= 0 && difference_power <= 1) << difference << ' ' << error << ' ' << degrees;
        EXPECT_TRUE(equivalence_power >= 0 && equivalence_power <= 1) << difference << ' ' << error << ' ' << degrees;
      }
    }
  }
  EXPECT_NEAR(PowerOfDifference(1, 1e-6, 4, 0.05), 1, 1e-9);
  EXPECT_NEAR(PowerOfEquivalence(50, 0.3, 1e-3, 4, 0.05), 0, 1e-9);
}

}  // namespace
}  // namespace crescendo::report
