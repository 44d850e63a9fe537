// The cells and sentences that terminal, Markdown and page share.
#pragma once

#include <string>
#include <vector>

#include "crescendo/report/study_results.h"

namespace crescendo::report {

struct Cells {
  std::vector<std::string> names;
  std::vector<std::vector<std::string>> rows;  // of the variants, in their order
};

// What came out: runs and accuracies.
Cells ResultCells(const StudySummary& summary);

// What the verdicts rest on: each variant that is compared with the reference, in numbers. No row where none is.
Cells TestCells(const StudySummary& summary);

// What it cost: updates and seconds, beside the reference where they compare, and seconds on several workers where
// there is an estimate. No row where no run has finished.
Cells CostCells(const StudyResults& results, const StudySummary& summary);

// The options in which the variants differ; a row per option.
Cells DifferenceCells(const StudyResults& results, const StudySummary& summary);

// "final test accuracy in %; epochs held equal; differences below 0.3 points do not matter"
std::string Terms(const StudyResults& results);

// "Beside decay, at 5 % after Holm's correction:"
std::string ReferenceSentence(const StudyResults& results);

// "p = 0.058", "p < 0.0001"
std::string PText(double p);

// "t(7.85) = -0.20, p = 0.85"
std::string StudentText(const Difference& difference);

// "Cost beside decay:"
std::string CostHead(const StudyResults& results, const StudySummary& summary);

// "recipes/studies/letter.toml with run.precision=bf16, begun 2018-02-24T09:30:00Z"; "" where nothing is known.
std::string Origin(const StudyResults& results, const StudySummary& summary);

// The reference's config, whole, as TOML, at its first seed. Tables below the current folder are named from it, as a
// reader of the results elsewhere would.
std::string ReferenceConfig(const StudyResults& results);

// "Not done yet: 1 run begun and without an end, 3 not begun; only runs that have ended are counted."; "" where all
// have.
std::string Unfinished(const StudySummary& summary);

// A sentence per run that failed or crashed.
std::vector<std::string> Failures(const StudyResults& results);

}  // namespace crescendo::report
