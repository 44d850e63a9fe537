#include "crescendo/report/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "crescendo/report/text_table.h"

namespace crescendo::report {
namespace {

constexpr int64_t kWidth = 120;

// The evaluation of the weights as saved, else the last one; null where there was none.
const EvaluationRecord* FinalEvaluation(const RunSummary& run) {
  if (run.footer && run.footer->final_evaluation.updates > schedule::Updates{0}) return &run.footer->final_evaluation;
  return run.evaluations.empty() ? nullptr : &run.evaluations.back();
}

bool Finished(const RunSummary& run) { return run.footer && run.footer->end == RunEnd::kFinished; }

std::vector<std::string> Row(const NamedRun& named) {
  const RunSummary& run = named.run;
  const EvaluationRecord* evaluation = FinalEvaluation(run);
  std::vector<std::string> row = {named.name, "-", "-", "-", "-", ""};
  if (run.footer) {
    const double seconds = run.footer->train_seconds;
    row[1] = WithThousands(run.footer->updates.value());
    row[3] = seconds < 100 ? fmt::format("{:.1f}", seconds) : WithThousands(std::llround(seconds));
    if (seconds > 0) {
      const double speed = static_cast<double>(run.footer->examples.value()) / seconds;
      row[4] = WithThousands(std::llround(speed));
    }
  }
  if (evaluation != nullptr) row[2] = fmt::format("{:.2f}%", 100 * evaluation->accuracy);
  if (!run.footer) {
    row[5] = "no end yet";
  } else if (run.footer->end != RunEnd::kFinished) {
    row[5] = NameOf(run.footer->end);
  }
  return row;
}

std::string AccuracySentence(const std::vector<const NamedRun*>& runs) {
  const auto accuracy = [](const NamedRun* run) { return FinalEvaluation(run->run)->accuracy; };
  const auto [low, high] = std::minmax_element(
      runs.begin(), runs.end(), [&](const NamedRun* a, const NamedRun* b) { return accuracy(a) < accuracy(b); });
  const double points = 100 * (accuracy(*high) - accuracy(*low));
  if (points < 0.005) return fmt::format("All {} runs end at {:.2f}%.", runs.size(), 100 * accuracy(*low));
  return fmt::format("The final test accuracies lie within {:.2f} points: {:.2f}% ({}) to {:.2f}% ({}).", points,
                     100 * accuracy(*low), (*low)->name, 100 * accuracy(*high), (*high)->name);
}

std::string UpdatesSentence(const std::vector<const NamedRun*>& runs) {
  const auto updates = [](const NamedRun* run) { return run->run.footer->updates.value(); };
  const auto [few, many] = std::minmax_element(
      runs.begin(), runs.end(), [&](const NamedRun* a, const NamedRun* b) { return updates(a) < updates(b); });
  if (updates(*few) == updates(*many)) return fmt::format("All take {} updates.", WithThousands(updates(*few)));
  return fmt::format(
      "{} takes {} updates where {} takes {}: {}.", (*few)->name, WithThousands(updates(*few)), (*many)->name,
      WithThousands(updates(*many)),
      TimesText(static_cast<double>(updates(*few)), static_cast<double>(updates(*many)), "sequential steps"));
}

}  // namespace

std::string ComparisonTable(const std::vector<NamedRun>& runs, const std::string& no_verdict) {
  TextTable table(
      {{"name", Align::kLeft}, {"updates"}, {"test accuracy"}, {"seconds"}, {"images/s"}, {"", Align::kLeft}});
  std::vector<const NamedRun*> finished;
  for (const NamedRun& run : runs) {
    table.AddRow(Row(run));
    if (Finished(run.run) && FinalEvaluation(run.run) != nullptr && run.run.footer->updates > schedule::Updates{0}) {
      finished.push_back(&run);
    }
  }
  std::string out = table.Render();
  if (!no_verdict.empty()) return out + '\n' + Wrapped(no_verdict, kWidth, 0);
  if (finished.size() < 2) return out;
  return out + '\n' + Wrapped(AccuracySentence(finished), kWidth, 0) + Wrapped(UpdatesSentence(finished), kWidth, 0);
}

}  // namespace crescendo::report
