#include "crescendo/report/study_results.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "crescendo/config/difference.h"
#include "crescendo/config/fields.h"
#include "crescendo/report/shared_gpu.h"
#include "crescendo/report/statistics.h"
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

// One run's value somewhere along it.
struct Sample {
  double examples = 0;
  double updates = 0;
  double seconds = 0;
  double value = 0;
};

// The seconds at `examples`, between points (with examples and seconds, in their order) of which the last is not before
// it. A run begins at 0.
template <class Point>
double SecondsAt(const std::vector<Point>& points, double examples) {
  const auto after = std::ranges::lower_bound(points, examples, {}, &Point::examples);
  const Point before = after == points.begin() ? Point{} : *std::prev(after);
  if (after->examples <= before.examples) return after->seconds;
  const double share = (examples - before.examples) / (after->examples - before.examples);
  return before.seconds + share * (after->seconds - before.seconds);
}

// Gathers values of several runs at equal positions.
class Bands {
 public:
  // In the order of their examples.
  void Add(const std::vector<Sample>& run) {
    runs_.push_back(run);
    for (const Sample& sample : run) {
      if (!std::isfinite(sample.value)) continue;
      BandPoint& point = points_[sample.examples];
      if (point.runs == 0) point = {sample.examples, sample.updates, 0, 0, sample.value, sample.value, 0};
      ++point.runs;
      point.mean += (sample.value - point.mean) / static_cast<double>(point.runs);
      point.low = std::min(point.low, sample.value);
      point.high = std::max(point.high, sample.value);
    }
  }

  // The seconds between two points are the mean of the runs that reached the second. So time never goes backwards, also
  // where a slow run has not come as far as a fast one.
  std::vector<BandPoint> Points() const {
    std::vector<BandPoint> points;
    double begin = 0;
    double seconds = 0;
    for (const auto& [examples, point] : points_) {
      double step = 0;
      double reached = 0;
      for (const std::vector<Sample>& run : runs_) {
        if (run.empty() || run.back().examples < examples) continue;
        ++reached;
        step += (SecondsAt(run, examples) - SecondsAt(run, begin) - step) / reached;
      }
      seconds += step;
      begin = examples;
      points.push_back(point);
      points.back().seconds = seconds;
    }
    return points;
  }

 private:
  std::vector<std::vector<Sample>> runs_;
  std::map<double, BandPoint> points_;
};

std::vector<Sample> Accuracies(const StudyRun& run) {
  std::vector<Sample> samples;
  for (const EvaluationRecord& evaluation : run.log->summary.evaluations) {
    samples.push_back({static_cast<double>(evaluation.examples.value()),
                       static_cast<double>(evaluation.updates.value()), evaluation.train_seconds,
                       100 * evaluation.accuracy});
  }
  return samples;
}

std::vector<Sample> Losses(const StudyRun& run) {
  std::vector<Sample> samples;
  for (const LossPoint& point : run.log->losses) {
    samples.push_back({point.examples, point.updates, point.seconds, point.loss});
  }
  // The last of a run that goes on is where it happens to be, between the points of the others.
  if (run.state == RunState::kUnfinished && samples.size() > 1) samples.pop_back();
  return samples;
}

// With the end of its last line.
std::vector<SettingPoint> SettingsToTheEnd(const RunCurve& log) {
  std::vector<SettingPoint> settings = log.settings;
  if (log.losses.empty() || settings.empty()) return settings;
  SettingPoint end = settings.back();
  end.examples = log.losses.back().examples;
  end.updates = log.losses.back().updates;
  settings.push_back(end);
  return settings;
}

VariantCurves CurvesOf(const std::vector<const StudyRun*>& runs) {
  Bands accuracies;
  Bands losses;
  const StudyRun* furthest = nullptr;
  const auto reached = [](const StudyRun& run) {
    return run.log->losses.empty() ? 0 : run.log->losses.back().examples;
  };
  for (const StudyRun* run : runs) {
    accuracies.Add(Accuracies(*run));
    losses.Add(Losses(*run));
    if (furthest == nullptr || reached(*run) > reached(*furthest)) furthest = run;
  }
  VariantCurves curves{accuracies.Points(), losses.Points(), {}};
  if (furthest != nullptr) curves.settings = SettingsToTheEnd(*furthest->log);
  if (curves.losses.empty()) return curves;
  // The losses come most often: theirs is the clock of all.
  const auto put_on_the_clock = [&](auto& points) {
    for (auto& point : points) {
      point.seconds = SecondsAt(curves.losses, std::min(point.examples, curves.losses.back().examples));
    }
  };
  put_on_the_clock(curves.accuracies);
  put_on_the_clock(curves.settings);
  return curves;
}

void AddCurves(const StudyVariant& variant, VariantSummary& summary) {
  std::vector<const StudyRun*> sound;
  std::vector<const StudyRun*> failed;
  for (const StudyRun& run : variant.runs) {
    if (run.log) (Failed(run) ? failed : sound).push_back(&run);
  }
  summary.curves = CurvesOf(sound);
  summary.failed_curves = CurvesOf(failed);
}

void AddOutcomes(const StudyVariant& variant, VariantSummary& summary) {
  std::vector<double> seconds;
  for (const StudyRun& run : variant.runs) {
    summary.waiting += run.state == RunState::kWaiting ? 1 : 0;
    summary.unfinished += run.state == RunState::kUnfinished ? 1 : 0;
    if (run.state != RunState::kFinished) continue;
    const RunFooter& footer = *run.log->summary.footer;
    seconds.push_back(footer.train_seconds);
    summary.updates = static_cast<double>(footer.updates.value());
    summary.examples = static_cast<double>(footer.examples.value());
    summary.loss += (footer.final_evaluation.loss - summary.loss) / static_cast<double>(seconds.size());
  }
  if (seconds.empty()) return;
  summary.seconds = Quantile(seconds, 0.5);
  const auto [least, most] = std::ranges::minmax(seconds);
  summary.seconds_range = {least, most};
}

std::vector<OptionDifference> Differences(const StudyResults& results) {
  std::vector<std::map<std::string, std::string>> texts;
  for (const StudyVariant& variant : results.variants) {
    texts.push_back(config::SettingsOf(variant.options));
    std::erase_if(texts.back(), [](const auto& setting) {
      return setting.first == "run.seed" || config::EffectOf(setting.first) == config::Effect::kNothing;
    });
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

// The variant whose equal runs took the most different times, where that is too much to tell what an update costs:
// the machine did other work meanwhile, or its speed changes. Else none.
const VariantSummary* MostUneven(const StudySummary& summary) {
  constexpr double kMost = 1.5;  // of the longest over the shortest
  const auto spread = [](const VariantSummary& row) {
    return row.seconds > 0 ? row.seconds_range.high / row.seconds_range.low : 1;
  };
  const auto most = std::ranges::max_element(summary.variants, {}, spread);
  return spread(*most) > kMost ? &*most : nullptr;
}

// Why seconds of one variant do not compare with another's; "" where they do.
std::string WhyNoTimeRatio(const StudyResults& results, const StudySummary& summary) {
  if (summary.machines.size() > 1) return "the runs differ in machine, device or threads";
  std::vector<const RunCurve*> begun;  // how they ended does not matter
  for (const StudyVariant& variant : results.variants) {
    for (const StudyRun& run : variant.runs) {
      if (run.log) begun.push_back(&*run.log);
    }
  }
  if (ShareAGpu(begun)) return "runs shared a GPU";
  if (const VariantSummary* uneven = MostUneven(summary)) {
    return fmt::format("equal runs of {} took {} to {} s, so the machine was not equally fast throughout",
                       uneven->analysis.name, SecondsText(uneven->seconds_range.low),
                       SecondsText(uneven->seconds_range.high));
  }
  return "";
}

// Why costs cannot be told apart; "" where they can.
std::string NoEstimate(const WorkerEstimate& estimate, size_t sizes, const std::string& no_time_ratio) {
  if (sizes > 1) return "the networks differ in size";
  if (!no_time_ratio.empty()) return no_time_ratio;
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

void AddSitting(const Sitting& sitting, StudySummary& summary) {
  AddOnce(summary.commits, SourceOf(sitting));
  AddOnce(summary.machines, fmt::format("{}; {}", sitting.machine, sitting.device));
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
  if (const std::string reason = NoEstimate(estimate, sizes.size(), summary.no_time_ratio); !reason.empty()) {
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
      std::vector<double> seconds;
      for (const StudyRun& run : results.variants[i].runs) {
        if (run.state != RunState::kFinished) continue;
        double& of_run = seconds.emplace_back(0);
        for (const auto& [batch, cost] : run.log->costs) {
          of_run += estimate.Seconds(cost, static_cast<double>(batch), workers,
                                     static_cast<double>(results.variants[i].options.model.ghost_batch));
        }
      }
      if (!seconds.empty()) summary.variants[i].seconds_on_workers[workers] = Quantile(std::move(seconds), 0.5);
    }
  }
}

// The largest relative deviation of what a variant's noise was from what the reference schedule asked for, in percent.
struct NoiseDeviation {
  double held = -1;   // in the form that the plan holds equal; -1: not known
  double exact = -1;  // in the exact form; of a reference whose batch is all there is it is 0, and nothing compares
};

NoiseDeviation NoiseDeviationOf(const StudyVariant& variant, const std::vector<SettingPoint>& settings) {
  using schedule::Examples;
  const schedule::NoiseLaw held{variant.options.schedule.rule, variant.options.schedule.noise_form};
  const schedule::NoiseLaw exact{held.rule, schedule::NoiseForm::kExact};
  const auto begun = std::ranges::find_if(variant.runs, [](const StudyRun& run) { return run.log.has_value(); });
  const Examples all{begun->log->summary.header.train_examples};
  const Examples batch{variant.options.reference.global_batch};
  NoiseDeviation largest;
  for (const SettingPoint& point : settings) {
    if (point.reference_noise_scale <= 0) continue;
    largest.held = std::max(largest.held, 100 * std::abs(point.noise_scale / point.reference_noise_scale - 1));
    if (batch >= all) continue;
    // Whatever its momentum, as it is in both forms.
    const double rate = schedule::LearningRateForNoise(held, point.reference_noise_scale, all, batch, 0);
    const double reference = schedule::NoiseScale(exact, rate, all, batch, 0);
    largest.exact = std::max(largest.exact, 100 * std::abs(point.noise_scale_exact / reference - 1));
  }
  return largest;
}

// "below 0.01 %", "8.02 % (grow)"
std::string DeviationText(double percent, const std::string& variant) {
  return percent < 0.005 ? "below 0.01 %" : fmt::format("{:.2f} % ({})", percent, variant);
}

// A variant whose [reference], rule or form is another has another noise to follow: its deviation from that one would
// say nothing.
std::string NoiseSentence(const StudyResults& results, const StudySummary& summary) {
  const auto has_another = [&](size_t variant) {
    return std::ranges::any_of(summary.differences, [&](const OptionDifference& difference) {
      const bool decides = difference.key.starts_with("reference.") || difference.key == "schedule.rule" ||
                           difference.key == "schedule.noise_form";
      return decides && difference.values[variant] != difference.values[results.reference];
    });
  };
  NoiseDeviation largest;
  std::string farthest;
  std::string farthest_exact;
  std::vector<std::string> others;
  for (size_t i = 0; i < results.variants.size(); ++i) {
    const std::vector<SettingPoint>& settings = summary.variants[i].curves.settings;
    if (settings.empty()) continue;
    if (has_another(i)) {
      others.push_back(results.variants[i].name);
      continue;
    }
    const StudyVariant& variant = results.variants[i];
    const NoiseDeviation deviation = NoiseDeviationOf(variant, settings);
    if (deviation.held > largest.held) farthest = variant.name;
    if (deviation.exact > largest.exact) farthest_exact = variant.name;
    largest = {std::max(largest.held, deviation.held), std::max(largest.exact, deviation.exact)};
  }
  std::vector<std::string> parts;
  if (largest.held >= 0) {
    std::string text = "largest deviation from the reference's noise: " + DeviationText(largest.held, farthest);
    const bool is_exact =
        results.variants[results.reference].options.schedule.noise_form == schedule::NoiseForm::kExact;
    if (!is_exact) text += " in the small-batch form, which is what was held equal";
    if (!is_exact && largest.exact >= 0) {
      text += fmt::format("; {} in the exact form", DeviationText(largest.exact, farthest_exact));
    }
    parts.push_back(text);
  }
  if (!others.empty()) {
    parts.push_back(fmt::format("not counted, as another reference, rule or form asks for another noise: {}",
                                fmt::join(others, ", ")));
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
      if (summary.train_examples == 0) summary.train_examples = header.train_examples;
      AddSitting(header, summary);
      for (const ResumeRecord& resume : run.log->summary.resumes) AddSitting(resume, summary);
      // Written as 2018-02-24T09:30:00Z: the order of the texts is that of the times.
      if (!header.started.empty() && (summary.begun.empty() || header.started < summary.begun)) {
        summary.begun = header.started;
      }
    }
  }
  summary.no_time_ratio = WhyNoTimeRatio(results, summary);
  summary.differences = Differences(results);
  summary.noise = NoiseSentence(results, summary);
  AddWorkerEstimates(results, summary);
  return summary;
}

}  // namespace crescendo::report
