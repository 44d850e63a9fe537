#include "crescendo/report/verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace crescendo::report {
namespace {

using ::testing::HasSubstr;

VariantOutcomes Variant(std::string name, const std::vector<std::optional<double>>& values, int64_t first_seed = 1) {
  VariantOutcomes variant{std::move(name), {}};
  for (const auto& value : values) variant.outcomes.push_back({first_seed++, value});
  return variant;
}

const VariantOutcomes kDecay = Variant("decay", {94.32, 94.11, 94.45, 94.27, 94.03});

Comparison Against(const VariantOutcomes& reference, const VariantOutcomes& variant, double margin = 0.3) {
  return *Analyse({reference, variant}, {.margin = margin})[1].comparison;
}

TEST(Verdict, EqualUpToNoiseIsEquivalent) {
  const Comparison grow = Against(kDecay, Variant("grow", {94.29, 94.20, 94.37, 94.33, 94.10}));
  EXPECT_EQ(grow.verdict, Verdict::kEquivalent);
  EXPECT_EQ(grow.sentence,
            "equivalent: within 0.3 points (90 % interval -0.05 to 0.09)");  // SciPy's, of the five pairs
}

// The pairs differ by -0.10, -0.12, -0.08, -0.11, -0.09: mean -0.1, deviation 0.0158, so 0.00707 over the root of 5. Of
// t with 4 degrees of freedom, 2.132 of these make the interval of 90 % and 2.776 that of 95 %.
TEST(Verdict, ASmallDifferenceThatIsCertainIsSaidBesideTheEquivalence) {
  const VariantOutcomes grow = Variant("grow", {94.22, 93.99, 94.37, 94.16, 93.94});
  EXPECT_EQ(
      Against(kDecay, grow).sentence,
      "equivalent: within 0.3 points (90 % interval -0.12 to -0.08), though worse by 0.08 to 0.12 (95 % interval)");
  EXPECT_EQ(Against(kDecay, grow).verdict, Verdict::kEquivalent);
  EXPECT_THAT(Against(grow, kDecay).sentence, HasSubstr(", though better by 0.08 to 0.12 (95 % interval)"));
  EXPECT_EQ(Against(kDecay, grow, 0.05).sentence, "worse by 0.08 to 0.12 points (95 % interval)");
}

TEST(Verdict, AScheduleThatIsReallyWorseIsFoundOut) {
  const Comparison large = Against(kDecay, Variant("large", {93.12, 92.71, 93.55, 93.30, 93.02}));
  EXPECT_EQ(large.verdict, Verdict::kWorse);
  EXPECT_THAT(large.sentence, ::testing::MatchesRegex("worse by [0-9.]+ to [0-9.]+ points \\(95 % interval\\)"));
  EXPECT_EQ(Against(Variant("large", {93.12, 92.71, 93.55, 93.30, 93.02}), kDecay).verdict, Verdict::kBetter);
}

TEST(Verdict, FewRunsSayHowManyMore) {
  const Comparison undecided = Against(kDecay, Variant("grow", {94.9, 93.8, 94.6, 94.0, 94.1}));
  EXPECT_EQ(undecided.verdict, Verdict::kUndecided);
  ASSERT_TRUE(undecided.more_seeds);
  EXPECT_THAT(undecided.sentence, ::testing::StartsWith("not enough runs (95 % interval -"));
  EXPECT_THAT(undecided.sentence, HasSubstr("about " + std::to_string(*undecided.more_seeds) + " more seeds"));

  // So many seeds decide and one fewer do not, if difference and spread stay what they are.
  const Difference& now = *undecided.by_seed;
  const auto chance = [&](int64_t seeds) {
    const double error = now.standard_error * std::sqrt(5.0 / static_cast<double>(seeds));
    const auto degrees = static_cast<double>(seeds - 1);
    return std::max(PowerOfEquivalence(now.value, 0.3, error, degrees, 0.05),
                    PowerOfDifference(now.value, error, degrees, 0.05));
  };
  EXPECT_GE(chance(5 + *undecided.more_seeds), 0.8);
  EXPECT_LT(chance(4 + *undecided.more_seeds), 0.8);
}

TEST(Verdict, OneSeedDecidesNothing) {
  const Comparison single = Against(kDecay, Variant("grow", {94.2}));
  EXPECT_EQ(single.verdict, Verdict::kUndecided);
  EXPECT_FALSE(single.more_seeds);
  EXPECT_EQ(single.sentence, "not enough runs: two seeds each are the least");
}

TEST(Verdict, PairsSharedSeedsAndElseComparesGroups) {
  const Comparison shared = Against(kDecay, Variant("grow", {94.29, 94.20, 94.37, 94.33}, 3));
  ASSERT_TRUE(shared.by_seed);  // seeds 3, 4, 5
  EXPECT_EQ(shared.by_seed->degrees_of_freedom, 2);
  EXPECT_NEAR(shared.by_seed->value, ((94.29 - 94.45) + (94.20 - 94.27) + (94.37 - 94.03)) / 3, 1e-9);
  const Comparison apart = Against(kDecay, Variant("grow", {94.29, 94.20, 94.37}, 6));
  EXPECT_FALSE(apart.by_seed);
  EXPECT_EQ(apart.deciding(), &*apart.welch);
}

TEST(Verdict, FailedRunsStayInTheTable) {
  const auto table = Analyse({kDecay, Variant("grow", {94.29, std::nullopt, 94.37, 94.33, 94.10}),
                              Variant("broken", {std::nullopt, std::nullopt, 94.3})},
                             {});
  EXPECT_EQ(table[1].failed, 1);
  EXPECT_EQ(table[1].summary->n, 4);
  EXPECT_TRUE(std::isinf(table[1].worst));
  EXPECT_NEAR(table[1].median, 94.29, 1e-9);
  EXPECT_TRUE(std::isinf(table[2].median));
  EXPECT_EQ(table[1].comparison->verdict, Verdict::kFails);
  EXPECT_THAT(table[1].comparison->sentence, ::testing::StartsWith("fails: 1 of 5 runs failed; the others differ by"));
  EXPECT_EQ(table[2].comparison->sentence, "fails: 2 of 3 runs failed");
}

TEST(Verdict, AFailureOfTheReferenceDoesNotHideAVariant) {
  const Comparison grow =
      Against(Variant("decay", {94.32, 94.11, std::nullopt, 94.27}), Variant("grow", {94.30, 94.12, 94.40, 94.26}));
  EXPECT_EQ(grow.verdict, Verdict::kEquivalent);
  EXPECT_EQ(grow.by_seed->degrees_of_freedom, 2);
  EXPECT_THAT(grow.sentence, ::testing::EndsWith("; of the reference, 1 of 4 runs failed"));

  // Means and tests leave out the failures of both.
  const Comparison both = Against(Variant("decay", {94.32, 94.11, std::nullopt, 94.27}),
                                  Variant("grow", {94.30, 94.12, std::nullopt, 94.26}));
  EXPECT_EQ(both.verdict, Verdict::kEquivalent);
  EXPECT_THAT(both.sentence, ::testing::EndsWith("; 1 of 4 runs failed; of the reference, 1 of 4 runs failed"));

  const Comparison more = Against(Variant("decay", {94.32, 94.11, std::nullopt, 94.27}),
                                  Variant("grow", {94.30, 94.12, std::nullopt, std::nullopt}));
  EXPECT_EQ(more.verdict, Verdict::kFails);
  EXPECT_THAT(more.sentence, ::testing::StartsWith("fails: 2 of 4 runs failed; of the reference, 1 of 4 runs failed; "
                                                   "the others differ by"));
}

TEST(Verdict, SaysWhereTheReferenceIsWhatFails) {
  const VariantOutcomes broken = Variant("decay", {std::nullopt, std::nullopt});
  const std::string all_failed = "the reference fails: all 2 runs that ended failed";
  EXPECT_EQ(Against(broken, Variant("grow", {94.30, 94.12})).sentence, all_failed);
  EXPECT_EQ(Against(broken, Variant("grow", {std::nullopt, 94.12})).sentence, all_failed);
  EXPECT_EQ(Against(Variant("decay", {std::nullopt, 94.2}), Variant("grow", {94.30, 94.12})).sentence,
            "the reference fails: 1 of 2 runs failed");
}

TEST(Verdict, TheIntervalOfEquivalenceIsTheOneThatItsTestsRestOn) {
  // Beyond the margin at 95 % and inside it at 90 %: the one-sided tests, at 5 % each, find equivalence.
  const Comparison grow = Against(kDecay, Variant("grow", {94.50, 94.02, 94.58, 94.20, 94.13}), 0.18);
  EXPECT_GT(grow.deciding()->interval.high, 0.18);
  EXPECT_LT(grow.same->interval.high, 0.18);
  EXPECT_LT(grow.same->p, 0.05);
  EXPECT_EQ(grow.verdict, Verdict::kEquivalent);
}

TEST(Verdict, ManyVariantsNeedStrongerEvidence) {
  const VariantOutcomes near = Variant("near", {94.34, 94.00, 94.62, 94.22, 93.90});
  ASSERT_EQ(Against(kDecay, near, 0.2).verdict, Verdict::kEquivalent);
  std::vector<VariantOutcomes> many = {kDecay};
  for (int i = 0; i < 8; ++i) many.push_back(near);
  const auto table = Analyse(many, {.margin = 0.2});
  EXPECT_EQ(table[1].comparison->verdict, Verdict::kUndecided);
  EXPECT_NEAR(table[1].comparison->p_equivalence_adjusted, 8 * table[1].comparison->same->p, 1e-12);
}

// Whether the others have run, and what became of them, does not make a variant's evidence stronger.
TEST(Verdict, TheCorrectionCountsVariantsThatCannotBeTested) {
  const VariantOutcomes near = Variant("near", {94.34, 94.00, 94.62, 94.22, 93.90});
  const auto table =
      Analyse({kDecay, near, Variant("broken", {std::nullopt, std::nullopt}), Variant("waiting", {})}, {.margin = 0.2});
  EXPECT_NEAR(table[1].comparison->p_equivalence_adjusted, 3 * table[1].comparison->same->p, 1e-12);
  EXPECT_NEAR(table[1].comparison->p_difference_adjusted, std::min(1.0, 3 * table[1].comparison->deciding()->p), 1e-12);
}

// docs/decisions/22-verdicts.md has the numbers of 1500 such studies, for three margins and for both questions.
TEST(Verdict, LookingAgainAsAdvisedIsNotMuchWorseThanLookingOnce) {
  constexpr int kStudies = 200;
  constexpr int kLooks = 5;
  std::mt19937_64 generator(1);
  std::normal_distribution<double> difference(0, 1);
  int wrong = 0;
  for (int study = 0; study < kStudies; ++study) {
    VariantOutcomes decay{"decay", {}};
    VariantOutcomes same{"same", {}};
    int64_t more = 5;
    for (int look = 0; look < kLooks; ++look) {
      for (int64_t i = 0; i < more; ++i) {
        const auto seed = static_cast<int64_t>(decay.outcomes.size());
        decay.outcomes.push_back({seed, 90});
        same.outcomes.push_back({seed, 90 + difference(generator)});
      }
      const Comparison comparison = *Analyse({decay, same}, {.margin = 0.5})[1].comparison;
      wrong += comparison.verdict == Verdict::kWorse || comparison.verdict == Verdict::kBetter;
      if (comparison.verdict != Verdict::kUndecided || !comparison.more_seeds) break;
      more = *comparison.more_seeds;
      if (static_cast<int64_t>(decay.outcomes.size()) + more > 300) break;
    }
  }
  EXPECT_LT(wrong, 0.15 * kStudies);
  EXPECT_GT(wrong, 0.02 * kStudies);
}

TEST(Verdict, SaysWhereEveryRunFailed) {
  EXPECT_EQ(Against(kDecay, Variant("grow", {std::nullopt, std::nullopt, std::nullopt})).sentence,
            "fails: all 3 runs that ended failed");
  EXPECT_EQ(Against(kDecay, Variant("grow", {std::nullopt})).sentence, "fails: the only run that ended failed");
}

TEST(Verdict, SaysOfWhatNoRunHasEndedYet) {
  EXPECT_EQ(Against(kDecay, Variant("grow", {})).sentence, "no run has ended yet");
  EXPECT_EQ(Against(Variant("decay", {}), Variant("grow", {94.2})).sentence, "no run of the reference has ended yet");
}

TEST(Verdict, NothingHasEndedYet) {
  const auto table = Analyse({{"decay", {}}, {"grow", {}}}, {});
  EXPECT_FALSE(table[0].summary);
  EXPECT_TRUE(std::isnan(table[0].median));
  EXPECT_EQ(table[1].comparison->verdict, Verdict::kUndecided);
}

}  // namespace
}  // namespace crescendo::report
