// What a study, or any runs side by side, has come to: the runs as they were read, and what is computed from them for
// tables and figures. Everything that is shown anywhere (terminal, Markdown, CSV, JSON, page) comes from here.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "crescendo/config/options.h"
#include "crescendo/report/run_curve.h"
#include "crescendo/report/verdict.h"

namespace crescendo::report {

enum class RunState { kWaiting, kUnfinished, kFinished, kFailed, kCrashed };

struct StudyRun {
  int64_t seed = 0;
  std::string folder;
  RunState state = RunState::kWaiting;
  std::string reason;                     // of a failure or crash
  std::optional<RunCurve> log;            // none before it began
  std::vector<std::string> earlier = {};  // tries that failed before it was run again: "crashed: signal 9 (Killed)"
};

struct StudyVariant {
  std::string name;
  config::Options options;  // at any of its seeds
  std::vector<StudyRun> runs;
  double planned_updates = 0;
};

struct StudyResults {
  std::string name;
  std::string question;                // or ""
  std::string file;                    // of the study; "" where runs stand side by side without one
  std::vector<std::string> overrides;  // of the command line: "section.key=value", "--seeds 15"
  std::string note;                    // what the reader should know first, or ""
  std::string equal;                   // what is held equal, "epochs"; "" where nobody said
  double margin = 0.3;                 // in points of test accuracy
  size_t reference = 0;
  std::vector<StudyVariant> variants;  // at least one
};

// The same quantity of all runs of a variant, at one position of the clock.
struct BandPoint {
  double examples = 0;
  double updates = 0;
  double seconds = 0;  // mean over the runs
  double mean = 0;
  double low = 0;  // of the runs
  double high = 0;
  int64_t runs = 0;
};

// What runs of a variant did on their way, on one clock: the seconds of all three are means over the runs.
struct VariantCurves {
  std::vector<BandPoint> accuracies;   // in percent
  std::vector<BandPoint> losses;       // of training
  std::vector<SettingPoint> settings;  // of the run that came furthest
};

// What a variant has come to.
struct VariantSummary {
  VariantAnalysis analysis;  // of final test accuracies in percent
  int64_t waiting = 0;       // not begun
  int64_t unfinished = 0;    // begun and without an end: they go on, or were stopped
  double updates = 0;        // of a finished run; 0 while there is none
  double planned_updates = 0;
  double examples = 0;
  double seconds = 0;                            // of training, median over finished runs,
  Interval seconds_range;                        // and their least and most
  double loss = 0;                               // on the test set, mean over finished runs
  std::map<int64_t, double> seconds_on_workers;  // workers -> estimate, median over finished runs; or none
  VariantCurves curves;                          // of the runs that finished or go on
  VariantCurves failed_curves;                   // of those that failed or crashed: they may go anywhere
};

// An option in which the variants differ, be it in the last bits: its key, and its value in each, as TOML; "" where it
// means nothing there.
struct OptionDifference {
  std::string key;
  std::vector<std::string> values;
};

struct StudySummary {
  int64_t train_examples = 0;  // of the first run that began, 0 before; more than one size has no verdict
  std::vector<VariantSummary> variants;
  std::vector<OptionDifference> differences;
  std::vector<std::string> commits;   // of the programs that ran, each once
  std::vector<std::string> machines;  // machine and device, each once
  std::string begun;                  // when the first run was, as its log says; "" where none was
  int64_t workers = 16;               // whose estimate the page draws
  std::string no_time_ratio;          // why seconds of one variant do not compare with another's; "" where they do
  std::string cost;                   // how the seconds on workers were estimated, or why they were not
  std::string no_verdict;             // why no variant is compared with another; "" where they are
  std::string noise;                  // how far the variants' noise is from the reference's, in a sentence; or ""
};

// With estimates for 1, 4, 16, 64 and `workers` workers.
StudySummary Summarize(const StudyResults& results, int64_t workers = 16);

}  // namespace crescendo::report
