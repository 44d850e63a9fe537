#include "crescendo/report/study_cells.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "crescendo/report/study_text.h"
#include "crescendo/report/text_table.h"

namespace crescendo::report {
namespace {

std::string Percent(double value) {
  if (std::isnan(value)) return "-";
  return std::isinf(value) ? "failed" : fmt::format("{:.2f}", value);
}

std::string Range(const Interval& interval) {
  return std::isnan(interval.low) ? "-" : fmt::format("{:.2f} to {:.2f}", interval.low, interval.high);
}

std::string Whole(double value) { return value > 0 ? WithThousands(std::llround(value)) : "-"; }

std::string Seconds(double value) { return value > 0 ? fmt::format("{:.3g}", value) : "-"; }

std::string Workers(const StudySummary& summary) {
  return fmt::format("{} {}", summary.workers, summary.workers == 1 ? "worker" : "workers");
}

// "5", or "4 + 1 failed", "3 of 5".
std::string Runs(const VariantSummary& row) {
  const int64_t finished = row.analysis.summary ? row.analysis.summary->n : 0;
  std::string text = fmt::format("{}", finished);
  if (row.analysis.failed > 0) text += fmt::format(" + {} failed", row.analysis.failed);
  const int64_t missing = row.waiting + row.unfinished;
  if (missing > 0) text += fmt::format(" of {}", finished + row.analysis.failed + missing);
  return text;
}

}  // namespace

Cells ResultCells(const StudySummary& summary) {
  const bool estimated =
      std::ranges::any_of(summary.variants, [](const VariantSummary& row) { return !row.seconds_on_workers.empty(); });
  Cells cells;
  cells.names = {"variant",     "runs",   "mean",  "deviation", "95 % interval (t)",
                 "(bootstrap)", "median", "worst", "updates",   "seconds"};
  if (estimated) cells.names.push_back("on " + Workers(summary));
  for (const VariantSummary& row : summary.variants) {
    std::vector<std::string>& line = cells.rows.emplace_back();
    line = {row.analysis.name,
            Runs(row),
            "-",
            "-",
            "-",
            "-",
            Percent(row.analysis.median),
            Percent(row.analysis.worst),
            Whole(row.updates),
            Seconds(row.seconds)};
    if (estimated) {
      const auto on_workers = row.seconds_on_workers.find(summary.workers);
      line.push_back(on_workers == row.seconds_on_workers.end() ? "-" : Seconds(on_workers->second));
    }
    if (!row.analysis.summary) continue;
    const Summary& values = *row.analysis.summary;
    line[2] = Percent(values.mean);
    if (values.n < 2) continue;
    line[3] = fmt::format("{:.2f}", values.deviation);
    line[4] = Range(values.t_interval);
    line[5] = Range(values.bootstrap_interval);
  }
  return cells;
}

Cells DifferenceCells(const StudyResults& results, const StudySummary& summary) {
  Cells cells;
  cells.names = {"option"};
  for (const StudyVariant& variant : results.variants) cells.names.push_back(variant.name);
  for (const OptionDifference& difference : summary.differences) {
    std::vector<std::string>& row = cells.rows.emplace_back();
    row.push_back(difference.key);
    for (const std::string& value : difference.values) row.push_back(value.empty() ? "-" : value);
  }
  return cells;
}

std::string Terms(const StudyResults& results) {
  std::string terms = "final test accuracy in %";
  if (!results.equal.empty()) {
    terms += results.equal == "nothing" ? "; lengths as stated" : fmt::format("; {} held equal", results.equal);
  }
  return terms + fmt::format("; differences below {} points do not matter", results.margin);
}

std::string ReferenceSentence(const StudyResults& results) {
  return fmt::format("Beside {}, at 5 % after Holm's correction:", results.variants[results.reference].name);
}

std::string PText(double p) { return p < 0.0001 ? "p < 0.0001" : fmt::format("p = {:.2g}", p); }

std::string StudentText(const Difference& difference) {
  return fmt::format("t({:.3g}) = {:.2f}, {}", difference.degrees_of_freedom, difference.t, PText(difference.p));
}

std::string Evidence(const Comparison& comparison) {
  const Difference* difference = comparison.deciding();
  if (difference == nullptr) return "";
  std::string evidence = fmt::format("{}, difference {:+.2f}, p(same) = {:.2g}, p(differs) = {:.2g}",
                                     comparison.by_seed ? "by seed" : "in groups", difference->value,
                                     comparison.p_equivalence_adjusted, comparison.p_difference_adjusted);
  if (comparison.welch) evidence += "; Welch: " + StudentText(*comparison.welch);
  return evidence;
}

std::vector<std::string> Savings(const StudyResults& results, const StudySummary& summary) {
  std::vector<std::string> sentences;
  if (!summary.no_verdict.empty()) return sentences;
  const VariantSummary& reference = summary.variants[results.reference];
  for (size_t i = 0; i < summary.variants.size(); ++i) {
    const VariantSummary& row = summary.variants[i];
    if (i == results.reference || row.updates == 0 || reference.updates == 0) continue;
    if (row.updates == reference.updates) continue;
    std::string sentence =
        fmt::format("{}: {}", row.analysis.name, TimesText(row.updates, reference.updates, "updates"));
    if (row.seconds > 0 && reference.seconds > 0) {
      sentence += fmt::format(", {:.2f} of the time", row.seconds / reference.seconds);
    }
    const auto ours = row.seconds_on_workers.find(summary.workers);
    const auto theirs = reference.seconds_on_workers.find(summary.workers);
    if (ours != row.seconds_on_workers.end() && theirs != reference.seconds_on_workers.end()) {
      sentence += fmt::format(" (on {} about {:.2f})", Workers(summary), ours->second / theirs->second);
    }
    sentences.push_back(sentence);
  }
  return sentences;
}

std::vector<std::string> Failures(const StudyResults& results) {
  std::vector<std::string> sentences;
  for (const StudyVariant& variant : results.variants) {
    for (const StudyRun& run : variant.runs) {
      if (run.state != RunState::kFailed && run.state != RunState::kCrashed) continue;
      std::string reason = run.reason;
      std::ranges::replace(reason, '\n', ' ');
      sentences.push_back(fmt::format("{}, seed {} {}: {}", variant.name, run.seed, NameOf(run.state), reason));
    }
  }
  return sentences;
}

}  // namespace crescendo::report
