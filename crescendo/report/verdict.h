// Variants against a reference, over seeds: the same result, a worse one, or not enough runs to say.
//
//   std::vector<VariantAnalysis> table = Analyse(variants, {.reference = 0, .margin = 0.3});
//   table[1].comparison->sentence;  // "equivalent: within 0.3 points (90 % interval -0.05 to 0.09)"
//
// Values are in points where larger is better (accuracy in percent). A failed run has none, and stays: it counts in
// `failed`, median and worst take it for the worst there is, and a variant with more failures than the reference is
// never called equivalent. Means, intervals and tests are over the values that there are, and say so.
//
// Where the variant and the reference share two seeds or more, the decision is by pairs of those seeds, since they
// begin with the same weights and see the same examples in the same order; else by Welch. Both decisions, equivalent
// (TOST) and different (Student, two-sided), are at 5 % after Holm's correction over the variants; where both hold, the
// variant is equivalent, and the sentence says by how little it differs. A sentence shows the interval that its test
// rests on, before that correction: of 90 % for TOST, of 95 % for Student's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "crescendo/report/statistics.h"

namespace crescendo::report {

struct Outcome {
  int64_t seed = 0;
  std::optional<double> value;  // none: the run failed
};

struct VariantOutcomes {
  std::string name;
  std::vector<Outcome> outcomes;  // of runs that have ended, a seed at most once
};

struct AnalysisRequest {
  size_t reference = 0;  // which of the variants
  double margin = 0.3;   // differences below this do not matter, in points; above 0
  double step = 0;       // values are multiples of this: of an accuracy in percent, 100 / test examples
};

enum class Verdict { kEquivalent, kWorse, kBetter, kUndecided, kFails };

struct Comparison {
  Verdict verdict = Verdict::kUndecided;
  std::string sentence;               // the verdict in words, with its numbers
  std::optional<Difference> welch;    // variant - reference; none below two values each
  std::optional<Difference> by_seed;  // in pairs; none below two shared seeds
  std::optional<Equivalence> same;    // of the deciding difference: by_seed where there is one, else welch
  double p_difference_adjusted = 1;   // Holm, of the deciding difference
  double p_equivalence_adjusted = 1;  // Holm, of `same`
  std::optional<int64_t> more_seeds;  // where undecided: how many more would decide with a chance of 80 %
  const Difference* deciding() const { return by_seed ? &*by_seed : welch ? &*welch : nullptr; }
};

struct VariantAnalysis {
  std::string name;
  int64_t failed = 0;
  std::optional<Summary> summary;        // of the values there are
  double median = 0;                     // of all that ended; -infinity: a failed run. NaN where none ended
  double worst = 0;                      // so too
  std::optional<Comparison> comparison;  // none for the reference
};

std::vector<VariantAnalysis> Analyse(const std::vector<VariantOutcomes>& variants, const AnalysisRequest& request);

}  // namespace crescendo::report
