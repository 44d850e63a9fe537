// Finished runs side by side: the claim of the method is equal accuracy after far fewer updates, so the table shows
// both.
#pragma once

#include <string>
#include <vector>

#include "crescendo/report/run_log.h"

namespace crescendo::report {

struct NamedRun {
  std::string name;
  RunSummary run;
};

// A row per run: updates, final test accuracy, seconds of training, images per second; then sentences: how far the
// accuracies lie apart and how many times fewer updates the shortest run took than the longest, or `no_verdict` where
// it says why they do not compare. A run without a footer or an evaluation is shown with dashes.
std::string ComparisonTable(const std::vector<NamedRun>& runs, const std::string& no_verdict = "");

}  // namespace crescendo::report
