#include <cmath>
#include <nlohmann/json.hpp>

#include "crescendo/report/study_cells.h"
#include "crescendo/report/study_text.h"

namespace crescendo::report {
namespace {

using Json = nlohmann::ordered_json;  // an infinite number or none becomes null

Json IntervalJson(const Interval& interval) { return {interval.low, interval.high}; }

Json DifferenceJson(const std::optional<Difference>& difference) {
  if (!difference) return nullptr;
  return {{"difference", difference->value},
          {"standard_error", difference->standard_error},
          {"degrees_of_freedom", difference->degrees_of_freedom},
          {"interval", IntervalJson(difference->interval)},
          {"t", difference->t},
          {"p", difference->p}};
}

Json ComparisonJson(const Comparison& comparison) {
  Json json = {{"verdict", NameOf(comparison.verdict)},
               {"sentence", comparison.sentence},
               {"welch", DifferenceJson(comparison.welch)},
               {"by_seed", DifferenceJson(comparison.by_seed)},
               {"p_difference_adjusted", comparison.p_difference_adjusted},
               {"p_equivalence_adjusted", comparison.p_equivalence_adjusted},
               {"more_seeds", nullptr}};
  if (comparison.same) {
    json["p_equivalence"] = comparison.same->p;
    json["equivalence_interval"] = IntervalJson(comparison.same->interval);
  }
  if (comparison.more_seeds) json["more_seeds"] = *comparison.more_seeds;
  return json;
}

Json AccuracyJson(const VariantAnalysis& analysis) {
  Json json = {{"failed", analysis.failed}, {"median", analysis.median}, {"worst", analysis.worst}};
  if (!analysis.summary) return json;
  const Summary& summary = *analysis.summary;
  json["n"] = summary.n;
  json["mean"] = summary.mean;
  json["deviation"] = summary.deviation;
  json["t_interval"] = IntervalJson(summary.t_interval);
  json["bootstrap_interval"] = IntervalJson(summary.bootstrap_interval);
  return json;
}

// Columns of numbers instead of a list of objects: a fifth of the size.
Json BandJson(const std::vector<BandPoint>& points) {
  Json json = {{"examples", Json::array()}, {"updates", Json::array()}, {"seconds", Json::array()},
               {"mean", Json::array()},     {"low", Json::array()},     {"high", Json::array()},
               {"runs", Json::array()}};
  for (const BandPoint& point : points) {
    json["examples"].push_back(point.examples);
    json["updates"].push_back(point.updates);
    json["seconds"].push_back(point.seconds);
    json["mean"].push_back(point.mean);
    json["low"].push_back(point.low);
    json["high"].push_back(point.high);
    json["runs"].push_back(point.runs);
  }
  return json;
}

Json SettingsJson(const std::vector<SettingPoint>& points) {
  Json json = {{"examples", Json::array()},      {"updates", Json::array()},          {"seconds", Json::array()},
               {"learning_rate", Json::array()}, {"global_batch", Json::array()},     {"momentum", Json::array()},
               {"noise_scale", Json::array()},   {"noise_scale_exact", Json::array()}};
  for (const SettingPoint& point : points) {
    json["examples"].push_back(point.examples);
    json["updates"].push_back(point.updates);
    json["seconds"].push_back(point.seconds);
    json["learning_rate"].push_back(point.learning_rate);
    json["global_batch"].push_back(point.global_batch);
    json["momentum"].push_back(point.momentum);
    json["noise_scale"].push_back(point.noise_scale);
    json["noise_scale_exact"].push_back(point.noise_scale_exact);
  }
  return json;
}

void AddCurves(const VariantCurves& curves, const std::string& prefix, Json& json) {
  json[prefix + "accuracies"] = BandJson(curves.accuracies);
  json[prefix + "losses"] = BandJson(curves.losses);
  json[prefix + "settings"] = SettingsJson(curves.settings);
}

Json RunJson(const StudyRun& run) {
  Json json = {{"seed", run.seed},
               {"state", NameOf(run.state)},
               {"reason", run.reason},
               {"earlier", run.earlier},
               {"folder", run.folder}};
  if (!run.log) return json;
  const auto part = [](const Sitting& sitting) -> Json {
    return {{"started", sitting.started},
            {"commit", SourceOf(sitting)},
            {"machine", sitting.machine},
            {"device", sitting.device}};
  };
  json["parts"] = Json::array({part(run.log->summary.header)});
  for (const ResumeRecord& resume : run.log->summary.resumes) json["parts"].push_back(part(resume));
  if (!run.log->summary.footer) return json;
  const RunFooter& footer = *run.log->summary.footer;
  json["updates"] = footer.updates.value();
  json["examples"] = footer.examples.value();
  json["train_seconds"] = footer.train_seconds;
  json["total_seconds"] = footer.total_seconds;
  if (footer.final_evaluation.updates > schedule::Updates{0}) {
    json["test_accuracy"] = footer.final_evaluation.accuracy;
    json["test_loss"] = footer.final_evaluation.loss;
  }
  return json;
}

Json VariantJson(const StudyVariant& variant, const VariantSummary& summary) {
  Json json = {{"name", variant.name},
               {"accuracy_percent", AccuracyJson(summary.analysis)},
               {"comparison", nullptr},
               {"waiting", summary.waiting},
               {"unfinished", summary.unfinished},
               {"updates", summary.updates},
               {"planned_updates", summary.planned_updates},
               {"examples", summary.examples},
               {"seconds", summary.seconds},
               {"seconds_range", IntervalJson(summary.seconds_range)},
               {"test_loss", summary.loss},
               {"seconds_on_workers", Json::object()}};
  if (summary.analysis.comparison) json["comparison"] = ComparisonJson(*summary.analysis.comparison);
  for (const auto& [workers, seconds] : summary.seconds_on_workers) {
    json["seconds_on_workers"][std::to_string(workers)] = seconds;
  }
  for (const StudyRun& run : variant.runs) json["runs"].push_back(RunJson(run));
  AddCurves(summary.curves, "", json);
  AddCurves(summary.failed_curves, "failed_", json);
  return json;
}

}  // namespace

std::string StudyJson(const StudyResults& results, const StudySummary& summary) {
  Json json = {{"format_version", 1},
               {"name", results.name},
               {"question", results.question},
               {"file", results.file},
               {"overrides", results.overrides},
               {"note", results.note},
               {"config", ReferenceConfig(results)},
               {"begun", summary.begun},
               {"equal", results.equal},
               {"margin", results.margin},
               {"reference", results.variants[results.reference].name},
               {"train_examples", summary.train_examples},
               {"workers", summary.workers},
               {"machines", summary.machines},
               {"commits", summary.commits},
               {"cost", summary.cost},
               {"no_time_ratio", summary.no_time_ratio},
               {"no_verdict", summary.no_verdict},
               {"noise", summary.noise},
               {"differences", Json::array()},
               {"variants", Json::array()}};
  for (const OptionDifference& difference : summary.differences) {
    json["differences"].push_back({{"key", difference.key}, {"values", difference.values}});
  }
  for (size_t i = 0; i < results.variants.size(); ++i) {
    json["variants"].push_back(VariantJson(results.variants[i], summary.variants[i]));
  }
  // Reasons hold what a dying program last said, which may be no UTF-8.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace crescendo::report
