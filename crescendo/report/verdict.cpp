#include "crescendo/report/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "crescendo/base/error.h"
#include "crescendo/report/text_table.h"

namespace crescendo::report {
namespace {

constexpr double kAlpha = 0.05;
constexpr double kPower = 0.8;
constexpr int64_t kMostSeeds = 1000;  // more than anyone will run

std::vector<double> Values(const VariantOutcomes& variant) {
  std::vector<double> values;
  for (const Outcome& outcome : variant.outcomes) {
    if (outcome.value) values.push_back(*outcome.value);
  }
  return values;
}

VariantAnalysis Described(const VariantOutcomes& variant) {
  VariantAnalysis analysis;
  analysis.name = variant.name;
  std::vector<double> all = Values(variant);
  if (!all.empty()) analysis.summary = Summarize(all);
  analysis.failed = static_cast<int64_t>(variant.outcomes.size() - all.size());
  all.insert(all.end(), static_cast<size_t>(analysis.failed), -std::numeric_limits<double>::infinity());
  if (all.empty()) {
    analysis.median = analysis.worst = std::numeric_limits<double>::quiet_NaN();
    return analysis;
  }
  std::sort(all.begin(), all.end());
  analysis.worst = all.front();
  const double low = all[(all.size() - 1) / 2];
  analysis.median = std::isinf(low) ? low : (low + all[all.size() / 2]) / 2;
  return analysis;
}

Comparison Measured(const VariantOutcomes& variant, const VariantOutcomes& reference, const AnalysisRequest& request) {
  Comparison comparison;
  const std::vector<double> ours = Values(variant);
  const std::vector<double> theirs = Values(reference);
  if (ours.size() >= 2 && theirs.size() >= 2) comparison.welch = WelchDifference(ours, theirs, request.step);

  std::map<int64_t, double> by_seed;
  for (const Outcome& outcome : reference.outcomes) {
    if (outcome.value) by_seed[outcome.seed] = *outcome.value;
  }
  std::vector<double> paired_ours;
  std::vector<double> paired_theirs;
  for (const Outcome& outcome : variant.outcomes) {
    const auto other = by_seed.find(outcome.seed);
    if (!outcome.value || other == by_seed.end()) continue;
    paired_ours.push_back(*outcome.value);
    paired_theirs.push_back(other->second);
  }
  if (paired_ours.size() >= 2) comparison.by_seed = PairedDifference(paired_ours, paired_theirs, request.step);
  if (comparison.deciding() != nullptr) comparison.same = TestEquivalence(*comparison.deciding(), request.margin);
  return comparison;
}

// How many seeds for each of the two would decide, one way or the other, if the difference and the spread are what they
// look like now. None where `kMostSeeds` would not.
std::optional<int64_t> SeedsThatDecide(const Comparison& comparison, int64_t n, double margin, double alpha) {
  const Difference& now = *comparison.deciding();
  const double spread = now.standard_error * std::sqrt(static_cast<double>(n));
  const auto decides = [&](int64_t seeds) {
    const double error = spread / std::sqrt(static_cast<double>(seeds));
    const auto degrees = static_cast<double>(comparison.by_seed ? seeds - 1 : 2 * seeds - 2);
    return PowerOfDifference(now.value, error, degrees, alpha) >= kPower ||
           PowerOfEquivalence(now.value, margin, error, degrees, alpha) >= kPower;
  };
  if (!decides(kMostSeeds)) return std::nullopt;
  int64_t low = n;  // the chance rises with the seeds
  int64_t high = kMostSeeds;
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    (decides(middle) ? high : low) = middle;
  }
  return high;
}

std::string Range(double low, double high) { return fmt::format("{} to {}", Hundredths(low), Hundredths(high)); }
std::string Range(const Interval& interval) { return Range(interval.low, interval.high); }

int64_t ValueCount(const VariantAnalysis& analysis) { return analysis.summary ? analysis.summary->n : 0; }

int64_t EndedCount(const VariantAnalysis& analysis) { return analysis.failed + ValueCount(analysis); }

std::string RunsFailed(const VariantAnalysis& analysis) {
  if (ValueCount(analysis) > 0) return fmt::format("{} of {} runs failed", analysis.failed, EndedCount(analysis));
  return analysis.failed == 1 ? "the only run that ended failed"
                              : fmt::format("all {} runs that ended failed", analysis.failed);
}

std::string UndecidedSentence(const VariantAnalysis& ours, const VariantAnalysis& reference,
                              const Comparison& comparison) {
  if (EndedCount(ours) == 0) return "no run has ended yet";
  if (EndedCount(reference) == 0) return "no run of the reference has ended yet";
  if (comparison.deciding() == nullptr) return "not enough runs: two seeds each are the least";
  const std::string range = fmt::format("95 % interval {} points", Range(comparison.deciding()->interval));
  if (!comparison.more_seeds) {
    return fmt::format(
        "not enough runs ({}): the difference lies so near to the margin that even {} seeds would not decide", range,
        kMostSeeds);
  }
  return fmt::format("not enough runs ({}): about {} more {} would decide", range, *comparison.more_seeds,
                     *comparison.more_seeds == 1 ? "seed" : "seeds");
}

// "worse by 0.10 to 0.25": what the test of a difference says, in the interval that it rests on.
std::string WorseOrBetter(const Difference& difference) {
  const bool worse = difference.value < 0;
  const Interval& interval = difference.interval;
  return worse ? "worse by " + Range(-interval.high, -interval.low) : "better by " + Range(interval);
}

// Of the variant and of the reference: what is said of the others holds only for those that did not fail.
std::string FailedRuns(const VariantAnalysis& ours, const VariantAnalysis& reference) {
  std::string text;
  if (ours.failed > 0) text += "; " + RunsFailed(ours);
  if (reference.failed > 0) text += "; of the reference, " + RunsFailed(reference);
  return text;
}

void Decide(const VariantAnalysis& ours, const VariantAnalysis& reference, double margin, double alpha,
            Comparison& comparison) {
  const Difference* difference = comparison.deciding();
  const bool fails_more = ours.failed > reference.failed;
  const std::string failures = FailedRuns(ours, reference);
  const bool differs = difference != nullptr && comparison.p_difference_adjusted < kAlpha;
  if (fails_more) {
    comparison.verdict = Verdict::kFails;
    comparison.sentence = "fails: " + failures.substr(2);  // without the semicolon
    if (difference != nullptr) {
      comparison.sentence +=
          fmt::format("; the others differ by {} points (95 % interval)", Range(difference->interval));
    }
    return;
  }
  if (difference == nullptr && reference.failed > 0 && ValueCount(reference) < 2) {
    comparison.sentence = "the reference fails: " + RunsFailed(reference);
    return;
  }
  if (difference != nullptr && comparison.p_equivalence_adjusted < kAlpha) {
    comparison.verdict = Verdict::kEquivalent;
    comparison.sentence = fmt::format(
        "equivalent: within {} (90 % interval {}){}{}", PointsText(margin), Range(comparison.same->interval),
        differs ? ", though " + WorseOrBetter(*difference) + " (95 % interval)" : "", failures);
    return;
  }
  if (differs) {
    comparison.verdict = difference->value < 0 ? Verdict::kWorse : Verdict::kBetter;
    comparison.sentence = fmt::format("{} points (95 % interval){}", WorseOrBetter(*difference), failures);
    return;
  }
  if (difference != nullptr) {
    const auto pairs = static_cast<int64_t>(difference->degrees_of_freedom + 1.5);
    const int64_t n = comparison.by_seed ? pairs : std::min(ours.summary->n, reference.summary->n);
    if (const auto seeds = SeedsThatDecide(comparison, n, margin, alpha)) comparison.more_seeds = *seeds - n;
  }
  comparison.sentence = UndecidedSentence(ours, reference, comparison) + failures;
}

}  // namespace

std::vector<VariantAnalysis> Analyse(const std::vector<VariantOutcomes>& variants, const AnalysisRequest& request) {
  CRESCENDO_ASSERT(request.reference < variants.size(), "the reference is one of the variants");
  std::vector<VariantAnalysis> table;
  std::vector<double> p_difference;
  std::vector<double> p_equivalence;
  for (const VariantOutcomes& variant : variants) {
    VariantAnalysis& analysis = table.emplace_back(Described(variant));
    if (table.size() - 1 == request.reference) continue;
    analysis.comparison = Measured(variant, variants[request.reference], request);
    const Comparison& comparison = *analysis.comparison;
    // A variant that cannot be tested, or not yet, is one of those that the correction is for: else the others would be
    // judged more kindly the fewer are left.
    p_difference.push_back(comparison.deciding() == nullptr ? 1 : comparison.deciding()->p);
    p_equivalence.push_back(comparison.deciding() == nullptr ? 1 : comparison.same->p);
  }
  p_difference = HolmAdjusted(p_difference);
  p_equivalence = HolmAdjusted(p_equivalence);
  size_t compared = 0;
  // What Holm asks of the smallest p-value: seeds that satisfy it decide whatever the other variants do.
  const double alpha = kAlpha / std::max(1.0, static_cast<double>(p_difference.size()));
  for (VariantAnalysis& analysis : table) {
    if (!analysis.comparison) continue;
    analysis.comparison->p_difference_adjusted = p_difference[compared];
    analysis.comparison->p_equivalence_adjusted = p_equivalence[compared++];
    Decide(analysis, table[request.reference], request.margin, alpha, *analysis.comparison);
  }
  return table;
}

}  // namespace crescendo::report
