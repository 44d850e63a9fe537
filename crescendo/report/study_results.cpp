#include "crescendo/report/study_results.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "crescendo/config/digest.h"
#include "crescendo/config/fields.h"
#include "crescendo/report/text_table.h"
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

// Why costs cannot be told apart; "" where they can.
std::string NoEstimate(const WorkerEstimate& estimate, size_t sizes, size_t machines) {
  if (sizes > 1) return "the networks differ in size";
  if (machines > 1) return "the runs are of several machines";
  if (!estimate.separable()) {
    return "all updates had nearly the same batch, which does not tell what an update costs from what its examples do";
  }
  if (!estimate.known()) {
    return fmt::format("{}, or the machine did other work meanwhile",
                       estimate.seconds_per_update() < 0
                           ? "larger batches took longer per example, as if an update cost less than nothing"
                           : "larger batches took less time per update, as if an example cost less than nothing");
  }
  return "";
}

void AddOnce(std::vector<std::string>& list, const std::string& text) {
  if (!text.empty() && std::ranges::find(list, text) == list.end()) list.push_back(text);
}

// The costs of all runs are put together, where all train on the same machine a network of the same size: the reference
// alone has one batch and could not tell the cost of an update from that of its examples.
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
  if (sizes.empty()) return;
  if (const std::string reason = NoEstimate(estimate, sizes.size(), summary.machines.size()); !reason.empty()) {
    summary.cost = fmt::format("There is no estimate of the seconds on several workers: {}.", reason);
    return;
  }
  summary.cost = fmt::format(
      "Seconds on workers are estimated: the examples' part of the measured time is shared out among workers of at "
      "least one ghost batch each; an update takes {:.3g} ms for itself and {:.3g} ms for each of its examples, as "
      "fitted to all runs; communication is not counted.",
      1e3 * estimate.seconds_per_update(), 1e3 * estimate.seconds_per_example());
  for (size_t i = 0; i < results.variants.size(); ++i) {
    for (const int64_t workers : std::set<int64_t>{1, 4, 16, 64, summary.workers}) {
      double seconds = 0;
      double finished = 0;
      for (const StudyRun& run : results.variants[i].runs) {
        if (run.state != RunState::kFinished) continue;
        ++finished;
        for (const auto& [batch, cost] : run.log->costs) {
          seconds += estimate.Seconds(cost, static_cast<double>(batch), workers,
                                      static_cast<double>(results.variants[i].options.model.ghost_batch));
        }
      }
      if (finished > 0) summary.variants[i].seconds_on_workers[workers] = seconds / finished;
    }
  }
}

// The largest relative deviation of what a variant's noise was from what the reference schedule asked for, in percent.
double NoiseDeviation(const std::vector<SettingPoint>& settings) {
  double largest = 0;
  for (const SettingPoint& point : settings) {
    if (point.reference_noise_scale <= 0) continue;
    largest = std::max(largest, 100 * std::abs(point.noise_scale / point.reference_noise_scale - 1));
  }
  return largest;
}

// A variant whose [reference] is another has another noise to follow: its deviation from that one would say nothing.
std::string NoiseSentence(const StudyResults& results, const StudySummary& summary) {
  const auto has_another = [&](size_t variant) {
    return std::ranges::any_of(summary.differences, [&](const OptionDifference& difference) {
      return difference.key.starts_with("reference.") &&
             difference.values[variant] != difference.values[results.reference];
    });
  };
  double largest = -1;
  std::string farthest;
  std::vector<std::string> others;
  for (size_t i = 0; i < results.variants.size(); ++i) {
    if (summary.variants[i].settings.empty()) continue;
    if (has_another(i)) {
      others.push_back(results.variants[i].name);
    } else if (const double deviation = NoiseDeviation(summary.variants[i].settings); deviation > largest) {
      largest = deviation;
      farthest = results.variants[i].name;
    }
  }
  constexpr double kLeastShown = 0.005;
  std::vector<std::string> parts;
  if (largest >= 0) {
    const std::string shown = largest < kLeastShown ? "below 0.01 %" : fmt::format("{:.2f} % ({})", largest, farthest);
    parts.push_back("largest deviation from the reference's noise: " + shown);
  }
  if (!others.empty()) {
    parts.push_back(
        fmt::format("not counted, as another [reference] asks for another noise: {}", fmt::join(others, ", ")));
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

std::string ContentOf(const std::string& file) {
  std::error_code error;
  return std::filesystem::is_regular_file(file, error) ? ReadFile(file) : file;
}

bool HoldTheSame(const std::string& file, const std::string& other) {
  return file == other || ContentOf(file) == ContentOf(other);
}

// What a run learned from and was tested on.
struct Data {
  config::DataOptions options;
  int64_t train_examples = 0;
  int64_t test_examples = 0;

  bool IsThatOf(const Data& other) const {
    return options.name == other.options.name && train_examples == other.train_examples &&
           test_examples == other.test_examples && HoldTheSame(options.train_file, other.options.train_file) &&
           HoldTheSame(options.test_file, other.options.test_file);
  }
  std::string Text() const {
    const bool table = options.name == config::DatasetName::kCsv;
    const std::string test = options.test_file.empty() ? "" : " and " + options.test_file;
    return fmt::format("{} ({} training and {} test examples)",
                       table ? options.train_file + test : NameOf(options.name), WithThousands(train_examples),
                       WithThousands(test_examples));
  }
};

// Why accuracies of the runs do not compare: they are of different data. "" where they do, as far as logs tell.
std::string DataDifference(const StudyResults& results) {
  std::optional<Data> first;
  std::string first_name;
  for (const StudyVariant& variant : results.variants) {
    for (const StudyRun& run : variant.runs) {
      if (!run.log) continue;
      const RunHeader& header = run.log->summary.header;
      const Data data{variant.options.data, header.train_examples, header.test_examples};
      if (!first) {
        first = data;
        first_name = variant.name;
      }
      if (data.IsThatOf(*first)) continue;
      return fmt::format("No verdict: {} learned {}, {} learned {}; accuracies on different data do not compare.",
                         first_name, first->Text(), variant.name, data.Text());
    }
  }
  return "";
}

}  // namespace

StudySummary Summarize(const StudyResults& results, int64_t workers) {
  CRESCENDO_ASSERT(!results.variants.empty(), "a study has variants");
  StudySummary summary;
  summary.workers = workers;
  summary.no_verdict = DataDifference(results);
  std::vector<VariantOutcomes> outcomes;
  for (const StudyVariant& variant : results.variants) outcomes.push_back(OutcomesOf(variant));
  std::vector<VariantAnalysis> analyses = Analyse(outcomes, {results.reference, results.margin, AccuracyStep(results)});
  for (size_t i = 0; i < results.variants.size(); ++i) {
    VariantSummary& row = summary.variants.emplace_back();
    row.analysis = std::move(analyses[i]);
    if (!summary.no_verdict.empty()) row.analysis.comparison.reset();
    AddOutcomes(results.variants[i], row);
    AddCurves(results.variants[i], row);
    row.planned_updates = results.variants[i].planned_updates;
    for (const StudyRun& run : results.variants[i].runs) {
      if (!run.log) continue;
      const RunHeader& header = run.log->summary.header;
      AddOnce(summary.commits, header.commit.empty() ? header.crescendo_version : header.commit);
      AddOnce(summary.machines, fmt::format("{}; {}", header.machine, header.device));
      // Written as 2018-02-24T09:30:00Z: the order of the texts is that of the times.
      if (!header.started.empty() && (summary.begun.empty() || header.started < summary.begun)) {
        summary.begun = header.started;
      }
    }
  }
  summary.differences = Differences(results);
  summary.noise = NoiseSentence(results, summary);
  AddWorkerEstimates(results, summary);
  return summary;
}

}  // namespace crescendo::report
