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

// What happened: runs, accuracy, updates, seconds.
Cells ResultCells(const StudySummary& summary);

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

// "by seed, difference -0.02, p(same) = 0.058, p(differs) = 0.59; Welch: t(7.85) = -0.20, p = 0.85"; "" without a test.
std::string Evidence(const Comparison& comparison);

// Beside the reference: updates and time, a sentence per variant that differs in its updates. None where the two do not
// compare.
std::vector<std::string> Savings(const StudyResults& results, const StudySummary& summary);

// A sentence per run that failed or crashed.
std::vector<std::string> Failures(const StudyResults& results);

}  // namespace crescendo::report
