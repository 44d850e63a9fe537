#include "crescendo/report/study_results.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "crescendo/base/error.h"
#include "crescendo/config/digest.h"
#include "crescendo/config/fields.h"
#include "crescendo/report/worker_estimate.h"

namespace crescendo::report {
namespace {

// The evaluation of a finished run's weights.
const EvaluationRecord& FinalEvaluation(const StudyRun& run) { return run.log->summary.footer->final_evaluation; }

bool Failed(const StudyRun& run) { return run.state == RunState::kFailed || run.state == RunState::kCrashed; }

VariantOutcomes OutcomesOf(const StudyVariant& variant) {
  VariantOutcomes outcomes{variant.name, {}};
  for (const StudyRun& run : variant.runs) {
    if (run.state == RunState::kFinished) outcomes.outcomes.push_back({run.seed, 100 * FinalEvaluation(run).accuracy});
    if (Failed(run)) outcomes.outcomes.push_back({run.seed, std::nullopt});
  }
  return outcomes;
}

// Between possible accuracies, in percent; 0 while it is not known.
double AccuracyStep(const StudyResults& results) {
  for (const StudyVariant& variant : results.variants) {
    for (const StudyRun& run : variant.runs) {
      if (run.log && run.log->summary.header.test_examples > 0) {
        return 100 / static_cast<double>(run.log->summary.header.test_examples);
      }
    }
  }
  return 0;
}

// Gathers values of several runs at equal positions.
class Bands {
 public:
  void Add(double examples, double updates, double seconds, double value) {
    if (!std::isfinite(value)) return;
    BandPoint& point = points_[examples];
    if (point.runs == 0) point = {examples, updates, 0, 0, value, value, 0};
    ++point.runs;
    const auto n = static_cast<double>(point.runs);
    point.seconds += (seconds - point.seconds) / n;
    point.mean += (value - point.mean) / n;
    point.low = std::min(point.low, value);
    point.high = std::max(point.high, value);
  }

  std::vector<BandPoint> Points() const {
    std::vector<BandPoint> points;
    for (const auto& [examples, point] : points_) points.push_back(point);
    return points;
  }

 private:
  std::map<double, BandPoint> points_;
};

void AddCurves(const StudyVariant& variant, VariantSummary& summary) {
  struct {
    Bands accuracies;
    Bands losses;
  } sound, failed;
  double furthest = -1;
  for (const StudyRun& run : variant.runs) {
    if (!run.log) continue;
    auto& [accuracies, losses] = Failed(run) ? failed : sound;
    for (const EvaluationRecord& evaluation : run.log->summary.evaluations) {
      accuracies.Add(static_cast<double>(evaluation.examples.value()), static_cast<double>(evaluation.updates.value()),
                     evaluation.train_seconds, 100 * evaluation.accuracy);
    }
    for (const LossPoint& point : run.log->losses) losses.Add(point.examples, point.updates, point.seconds, point.loss);
    const double reached = run.log->losses.empty() ? 0 : run.log->losses.back().examples;
    if (reached <= furthest) continue;
    furthest = reached;
    summary.settings = run.log->settings;
    // So that the last line is drawn to its end.
    if (!run.log->losses.empty() && !summary.settings.empty()) {
      SettingPoint end = summary.settings.back();
      const LossPoint& last = run.log->losses.back();
      end.examples = last.examples;
      end.updates = last.updates;
      end.seconds = last.seconds;
      summary.settings.push_back(end);
    }
  }
  summary.accuracies = sound.accuracies.Points();
  summary.losses = sound.losses.Points();
  summary.failed_accuracies = failed.accuracies.Points();
  summary.failed_losses = failed.losses.Points();
}

void AddOutcomes(const StudyVariant& variant, VariantSummary& summary) {
  double finished = 0;
  for (const StudyRun& run : variant.runs) {
    summary.waiting += run.state == RunState::kWaiting ? 1 : 0;
    summary.unfinished += run.state == RunState::kUnfinished ? 1 : 0;
    if (run.state != RunState::kFinished) continue;
    const RunFooter& footer = *run.log->summary.footer;
    ++finished;
    summary.updates = static_cast<double>(footer.updates.value());
    summary.examples = static_cast<double>(footer.examples.value());
    summary.seconds += (footer.train_seconds - summary.seconds) / finished;
    summary.loss += (footer.final_evaluation.loss - summary.loss) / finished;
  }
}

std::vector<OptionDifference> Differences(const StudyResults& results) {
  std::vector<std::map<std::string, std::string>> texts;
  for (const StudyVariant& variant : results.variants) {
    texts.push_back(config::LearnedSettings(variant.options));
    texts.back().erase("run.seed");
  }
  std::vector<OptionDifference> differences;
  for (const std::string& key : config::AllKeys()) {
    OptionDifference difference{key, {}};
    bool differs = false;
    for (const auto& of_variant : texts) {
      const auto found = of_variant.find(key);
      difference.values.push_back(found == of_variant.end() ? "" : found->second);
      differs = differs || difference.values.back() != difference.values.front();
    }
    if (differs) differences.push_back(std::move(difference));
  }
  return differences;
}

void AddOnce(std::vector<std::string>& list, const std::string& text) {
  if (!text.empty() && std::ranges::find(list, text) == list.end()) list.push_back(text);
}

// All runs of a study train on the same machine a network of the same size, so their costs are put together: the
// reference alone has one batch and could not tell the cost of an update from that of its examples.
void AddWorkerEstimates(const StudyResults& results, StudySummary& summary) {
  WorkerEstimate estimate;
  std::set<int64_t> sizes;
  for (const StudyVariant& variant : results.variants) {
    for (const StudyRun& run : variant.runs) {
      if (run.state != RunState::kFinished) continue;
      sizes.insert(run.log->summary.header.parameters);
      for (const auto& [batch, cost] : run.log->costs) estimate.Measured(cost);
    }
  }
  if (sizes.size() != 1 || summary.machines.size() != 1 || !estimate.known()) return;
  summary.cost = fmt::format(
      "estimated: an update takes {:.3g} ms and each of its examples {:.3g} ms, as fitted to all runs; the examples "
      "are "
      "shared out among workers of at least one ghost batch each; communication is not counted",
      1e3 * estimate.seconds_per_update(), 1e3 * estimate.seconds_per_example());
  for (size_t i = 0; i < results.variants.size(); ++i) {
    for (const StudyRun& run : results.variants[i].runs) {
      if (run.state != RunState::kFinished || !summary.variants[i].seconds_on_workers.empty()) continue;
      for (const int64_t workers : {1, 4, 16, 64}) {
        double seconds = 0;
        for (const auto& [batch, cost] : run.log->costs) {
          seconds += estimate.Seconds(cost, static_cast<double>(batch), workers,
                                      static_cast<double>(results.variants[i].options.model.ghost_batch));
        }
        summary.variants[i].seconds_on_workers[workers] = seconds;
      }
    }
  }
}

}  // namespace

StudySummary Summarize(const StudyResults& results) {
  CRESCENDO_ASSERT(!results.variants.empty(), "a study has variants");
  StudySummary summary;
  std::vector<VariantOutcomes> outcomes;
  for (const StudyVariant& variant : results.variants) outcomes.push_back(OutcomesOf(variant));
  std::vector<VariantAnalysis> analyses = Analyse(outcomes, {results.reference, results.margin, AccuracyStep(results)});
  for (size_t i = 0; i < results.variants.size(); ++i) {
    VariantSummary& row = summary.variants.emplace_back();
    row.analysis = std::move(analyses[i]);
    AddOutcomes(results.variants[i], row);
    AddCurves(results.variants[i], row);
    for (const StudyRun& run : results.variants[i].runs) {
      if (!run.log) continue;
      const RunHeader& header = run.log->summary.header;
      AddOnce(summary.commits, header.commit.empty() ? header.crescendo_version : header.commit);
      AddOnce(summary.machines, fmt::format("{}; {}", header.machine, header.device));
    }
  }
  summary.differences = Differences(results);
  AddWorkerEstimates(results, summary);
  return summary;
}

}  // namespace crescendo::report
