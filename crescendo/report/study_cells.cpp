#include "crescendo/report/study_cells.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "crescendo/config/describe.h"
#include "crescendo/report/study_text.h"
#include "crescendo/report/text_table.h"

namespace crescendo::report {
namespace {

std::string Percent(double value) {
  if (std::isnan(value)) return "-";
  return std::isinf(value) ? "failed" : fmt::format("{:.2f}", value);
}

std::string Range(const Interval& interval) {
  return std::isnan(interval.low) ? "-" : fmt::format("{} to {}", Hundredths(interval.low), Hundredths(interval.high));
}

std::string Whole(double value) { return value > 0 ? WithThousands(std::llround(value)) : "-"; }

// "902", "902 (503 to 1,944)"
std::string SecondsWithRange(const VariantSummary& row) {
  const std::string least = SecondsText(row.seconds_range.low);
  const std::string most = SecondsText(row.seconds_range.high);
  return least == most ? SecondsText(row.seconds) : fmt::format("{} ({} to {})", SecondsText(row.seconds), least, most);
}

// "1", "0.462"; as a share it has no unit.
std::string Ratio(double value, double reference) {
  return value > 0 && reference > 0 ? fmt::format("{:.3g}", value / reference) : "-";
}

bool AreCompared(const StudyResults& results, const StudySummary& summary) {
  return summary.no_verdict.empty() && results.variants.size() > 1;
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
  Cells cells;
  cells.names = {"variant", "runs", "mean", "deviation", "95 % interval (t)", "(bootstrap)", "median", "worst"};
  for (const VariantSummary& row : summary.variants) {
    std::vector<std::string>& line = cells.rows.emplace_back();
    line = {row.analysis.name,          Runs(row), "-", "-", "-", "-", Percent(row.analysis.median),
            Percent(row.analysis.worst)};
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

Cells TestCells(const StudySummary& summary) {
  Cells cells;
  cells.names = {"variant", "compared", "difference", "95 % interval", "p(same)", "p(differs)", "Welch"};
  for (const VariantSummary& row : summary.variants) {
    if (!row.analysis.comparison || row.analysis.comparison->deciding() == nullptr) continue;
    const Comparison& comparison = *row.analysis.comparison;
    const Difference& difference = *comparison.deciding();
    cells.rows.push_back({row.analysis.name, comparison.by_seed ? "by seed" : "in groups",
                          SignedHundredths(difference.value), Range(difference.interval),
                          fmt::format("{:.2g}", comparison.p_equivalence_adjusted),
                          fmt::format("{:.2g}", comparison.p_difference_adjusted),
                          comparison.welch ? StudentText(*comparison.welch) : "-"});
  }
  return cells;
}

Cells CostCells(const StudyResults& results, const StudySummary& summary) {
  const auto finished = [](const VariantSummary& row) { return row.updates > 0; };
  Cells cells;
  if (std::ranges::none_of(summary.variants, finished)) return cells;
  const bool compared = AreCompared(results, summary);
  std::vector<int64_t> workers;  // all variants have the same
  for (const VariantSummary& row : summary.variants) {
    if (!workers.empty()) break;
    for (const auto& [number, seconds] : row.seconds_on_workers) workers.push_back(number);
  }
  cells.names = {"variant"};
  cells.names.emplace_back("updates");
  if (compared) cells.names.emplace_back("ratio");
  cells.names.emplace_back("seconds");
  const bool seconds_compared = compared && summary.no_time_ratio.empty();
  if (seconds_compared) cells.names.emplace_back("time ratio");
  for (const int64_t number : workers) {
    cells.names.push_back(fmt::format("on {}{}", number, number == workers.front() ? " worker" : ""));
    if (number == workers.front() && number != 1) cells.names.back() += 's';
  }
  const VariantSummary& reference = summary.variants[results.reference];
  for (const VariantSummary& row : summary.variants) {
    std::vector<std::string>& line = cells.rows.emplace_back();
    line = {row.analysis.name, Whole(row.updates)};
    if (compared) line.push_back(Ratio(row.updates, reference.updates));
    line.push_back(SecondsWithRange(row));
    if (seconds_compared) line.push_back(Ratio(row.seconds, reference.seconds));
    for (const int64_t number : workers) {
      const auto seconds = row.seconds_on_workers.find(number);
      line.push_back(seconds == row.seconds_on_workers.end() ? "-" : SecondsText(seconds->second));
    }
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
  return terms + fmt::format("; differences below {} do not matter", PointsText(results.margin));
}

std::string ReferenceSentence(const StudyResults& results) {
  return fmt::format("Beside {}, at 5 % after Holm's correction:", results.variants[results.reference].name);
}

std::string PText(double p) { return p < 0.0001 ? "p < 0.0001" : fmt::format("p = {:.2g}", p); }

std::string StudentText(const Difference& difference) {
  return fmt::format("t({:.3g}) = {:.2f}, {}", difference.degrees_of_freedom, difference.t, PText(difference.p));
}

std::string CostHead(const StudyResults& results, const StudySummary& summary) {
  if (!AreCompared(results, summary)) return "Cost:";
  return fmt::format("Cost beside {}:", results.variants[results.reference].name);
}

std::string Origin(const StudyResults& results, const StudySummary& summary) {
  std::string origin = results.file;
  if (!results.overrides.empty()) origin += fmt::format(" with {}", fmt::join(results.overrides, " "));
  if (!summary.begun.empty()) origin += fmt::format("{}begun {}", origin.empty() ? "" : ", ", summary.begun);
  return origin;
}

std::string ReferenceConfig(const StudyResults& results) {
  const StudyVariant& reference = results.variants[results.reference];
  config::Options options = reference.options;
  if (!reference.runs.empty()) options.run.seed = reference.runs.front().seed;
  for (std::string* file : {&options.data.train_file, &options.data.test_file}) {
    const std::string from_here = std::filesystem::path(*file).lexically_proximate(std::filesystem::current_path());
    if (!from_here.starts_with("..")) *file = from_here;
  }
  return config::ToToml(options);
}

std::string Unfinished(const StudySummary& summary) {
  int64_t waiting = 0;
  int64_t unfinished = 0;
  for (const VariantSummary& row : summary.variants) {
    waiting += row.waiting;
    unfinished += row.unfinished;
  }
  if (waiting + unfinished == 0) return "";
  return fmt::format(
      "Not done yet: {} {} begun and without an end, {} not begun; only runs that have ended are counted.", unfinished,
      unfinished == 1 ? "run" : "runs", waiting);
}

std::vector<std::string> Failures(const StudyResults& results) {
  std::vector<std::string> sentences;
  for (const StudyVariant& variant : results.variants) {
    for (const StudyRun& run : variant.runs) {
      if (run.state == RunState::kFailed || run.state == RunState::kCrashed) {
        std::string reason = run.reason;
        std::ranges::replace(reason, '\n', ' ');
        sentences.push_back(fmt::format("{}, seed {} {}: {}", variant.name, run.seed, NameOf(run.state), reason));
      }
      for (const std::string& earlier : run.earlier) {
        sentences.push_back(fmt::format("{}, seed {}, before it was run again, {}", variant.name, run.seed, earlier));
      }
    }
  }
  return sentences;
}

}  // namespace crescendo::report
