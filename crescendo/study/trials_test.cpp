#include "crescendo/study/trials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "crescendo/base/error.h"
#include "crescendo/study/test_support.h"

namespace crescendo::study {
namespace {

using ::testing::HasSubstr;

std::string Complaint(const Study& study) {
  try {
    MakeTrials(study, PlanOfSmall);
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

TEST(Trials, AreEveryVariantWithEverySeed) {
  const support::TemporaryFolder folder;
  const Study study = SmallStudy(folder, "seeds = [4, 9]");
  const std::vector<Trial> trials = MakeTrials(study, PlanOfSmall);
  ASSERT_EQ(trials.size(), 4);
  EXPECT_EQ(trials[1].variant, 0);
  EXPECT_EQ(trials[1].seed, 9);
  EXPECT_EQ(trials[1].options.run.seed, 9);
  EXPECT_EQ(trials[0].total_updates, 400);
  EXPECT_EQ(trials[2].total_updates, 300);  // 2 epochs at 10, 2 at 20
  std::set<std::string> digests;
  for (const Trial& trial : trials) digests.insert(trial.digest);
  EXPECT_EQ(digests.size(), 4);
}

TEST(Trials, OfOneVariantUnderTwoNamesAreRefused) {
  const support::TemporaryFolder folder;
  EXPECT_THAT(Complaint(SmallStudy(folder, "", "[variants.a]\nrun.threads = 2\n[variants.b]\n")),
              HasSubstr("the variants a and b are the same run"));
}

TEST(Trials, OfUnequalLengthAreRefusedUnlessNothingIsHeldEqual) {
  const support::TemporaryFolder folder;
  const std::string variants = "[variants.a]\n[variants.b]\nschedule.length = \"5ep\"\n";
  EXPECT_THAT(Complaint(SmallStudy(folder, "", variants)), HasSubstr("b sees 5000 examples and a sees 4000"));
  EXPECT_THAT(Complaint(SmallStudy(folder, "equal = \"images_times_devices\"", variants)),
              HasSubstr("the study holds images_times_devices equal"));
  EXPECT_EQ(Complaint(SmallStudy(folder, "equal = \"nothing\"", variants)), "");
}

TEST(Trials, WithEqualUpdatesTakeExactlyThoseOfTheReference) {
  const support::TemporaryFolder folder;
  const std::vector<Trial> trials = MakeTrials(SmallStudy(folder, "equal = \"updates\""), PlanOfSmall);
  for (const Trial& trial : trials) {
    EXPECT_EQ(trial.total_updates, 400);
    EXPECT_EQ(PlanOfSmall(trial.options).total_updates().value(), 400);
  }
  // Stretched as a whole: the boundary stays in the middle.
  const config::Options& grow = trials.back().options;
  const double length = static_cast<double>(grow.schedule.length.Resolve({kTrainExamples}).value());
  const double boundary = static_cast<double>(grow.reference.boundaries[0].Resolve({kTrainExamples}).value());
  EXPECT_NEAR(length, 4000 * 4.0 / 3, 20);
  EXPECT_NEAR(boundary, length / 2, 1);
}

TEST(Trials, AnyNumberOfUpdatesCanBeHad) {
  const support::TemporaryFolder folder;
  const Study study = SmallStudy(folder, "");
  for (const int64_t updates : {1, 2, 7, 299, 301, 1000, 12'345}) {
    const config::Options options = WithUpdates(study.variants[1].options, updates, PlanOfSmall);
    EXPECT_EQ(PlanOfSmall(options).total_updates().value(), updates);
  }
}

// As a study makes them: variant by variant, seed by seed.
std::vector<Trial> TrialsOf(size_t variants, const std::vector<int64_t>& seeds) {
  std::vector<Trial> trials;
  for (size_t variant = 0; variant < variants; ++variant) {
    for (const int64_t seed : seeds) trials.push_back({.variant = variant, .seed = seed, .options = {}, .digest = ""});
  }
  return trials;
}

TEST(Trials, AreShuffledTheSameWayEachTime) {
  const std::vector<Trial> trials = TrialsOf(4, {1, 2, 3, 4, 5});
  const std::vector<size_t> order = ShuffledOrder(trials);
  EXPECT_EQ(order, ShuffledOrder(trials));
  std::vector<size_t> sorted = order;
  std::ranges::sort(sorted);
  for (size_t i = 0; i < sorted.size(); ++i) EXPECT_EQ(sorted[i], i);
  EXPECT_TRUE(ShuffledOrder({}).empty());

  // Neither the seeds nor the variants of a seed stand as they were given, and the variants not always in one order.
  std::vector<int64_t> seeds;
  std::set<std::vector<size_t>> orders_of_variants;
  for (size_t i = 0; i < order.size(); i += 4) {
    seeds.push_back(trials[order[i]].seed);
    std::vector<size_t> variants;
    for (size_t k = i; k < i + 4; ++k) variants.push_back(trials[order[k]].variant);
    orders_of_variants.insert(variants);
  }
  EXPECT_NE(seeds, (std::vector<int64_t>{1, 2, 3, 4, 5}));
  EXPECT_GT(orders_of_variants.size(), 2);
}

TEST(Trials, GoSeedBySeedSoThatNoVariantIsAheadOfAnother) {
  for (const size_t variants : {2, 3, 7}) {
    const std::vector<Trial> trials = TrialsOf(variants, {9, 2, 14, 1, 30, 5});
    std::vector<int64_t> begun(variants);
    std::set<int64_t> seeds;
    size_t count = 0;
    for (const size_t trial : ShuffledOrder(trials)) {
      // A seed that is new begins only where the ones before it are whole.
      if (seeds.insert(trials[trial].seed).second) {
        EXPECT_EQ(count % variants, 0);
      }
      ++count;
      EXPECT_EQ(seeds.size(), (count + variants - 1) / variants);
      ++begun[trials[trial].variant];
      const auto [least, most] = std::ranges::minmax(begun);
      EXPECT_LE(most - least, 1);
    }
  }
}

}  // namespace
}  // namespace crescendo::study
