#include "crescendo/report/run_curve.h"

#include <algorithm>
#include <cmath>

namespace crescendo::report {
namespace {

// The header is known only once the log is read, so points are made of a first selection that is fine enough.
class Collector {
 public:
  void Add(const UpdateRecord& record) {
    const schedule::Setting& setting = record.setting;
    const auto end = static_cast<double>(setting.end.value());
    const auto updates = static_cast<double>(setting.update.value() + 1);
    const double examples = end - before_.examples;  // with log_every > 1, of all updates since the record before
    steps_.push_back({end, updates, record.seconds, record.loss});
    if (settings_.empty() || setting.phase != phase_) {
      phase_ = setting.phase;
      phase_batch_ = setting.global_batch;  // a shorter one in the same phase is what an epoch or the run had left
    }
    settings_.push_back({before_.examples, before_.updates, before_.seconds, setting.learning_rate,
                         static_cast<double>(phase_batch_.value()), setting.momentum, setting.noise_scale,
                         setting.noise_scale_exact, setting.reference_noise_scale});
    short_.push_back(setting.global_batch < phase_batch_);
    BatchCost& cost = costs_[phase_batch_.value()];
    cost.updates += updates - before_.updates;
    cost.examples += examples;
    cost.seconds += record.seconds - before_.seconds;
    before_ = steps_.back();
  }

  void Into(RunCurve& curve, int64_t points) {
    const double length = std::max(1.0, static_cast<double>(curve.summary.header.total_examples));
    const auto bin_of = [&](double examples) { return std::ceil(examples / length * static_cast<double>(points)); };
    double weight = 0;
    double sum = 0;
    double begin = 0;
    for (size_t i = 0; i < steps_.size(); ++i) {
      const double examples = steps_[i].examples - begin;
      weight += examples;
      sum += examples * steps_[i].loss;
      begin = steps_[i].examples;
      const bool last = i + 1 == steps_.size();
      if (!last && bin_of(steps_[i + 1].examples) == bin_of(steps_[i].examples)) continue;
      curve.losses.push_back({steps_[i].examples, steps_[i].updates, steps_[i].seconds, sum / weight});
      weight = sum = 0;
    }
    for (size_t i = 0; i < settings_.size(); ++i) {
      if (short_[i]) continue;  // its rate is that of its size: a needle in the figure
      const bool changes = i == 0 || settings_[i].global_batch != settings_[i - 1].global_batch ||
                           settings_[i].momentum != settings_[i - 1].momentum;
      const bool moves = i > 0 && settings_[i].learning_rate != curve.settings.back().learning_rate &&
                         bin_of(settings_[i].examples) != bin_of(curve.settings.back().examples);
      // A rate that jumps is drawn where it does, not at the next bin.
      const bool jumps =
          i > 0 && !short_[i - 1] &&
          std::abs(settings_[i].learning_rate - settings_[i - 1].learning_rate) > 0.05 * settings_[i - 1].learning_rate;
      if (changes || moves || jumps) curve.settings.push_back(settings_[i]);
    }
    curve.costs = std::move(costs_);
  }

 private:
  std::vector<LossPoint> steps_;
  std::vector<SettingPoint> settings_;
  std::vector<bool> short_;  // of settings_
  size_t phase_ = 0;
  schedule::Examples phase_batch_;
  std::map<int64_t, BatchCost> costs_;
  LossPoint before_;
};

}  // namespace

RunCurve ReadRunCurve(const std::filesystem::path& path, int64_t points) {
  RunCurve curve;
  Collector collector;
  curve.summary = ReadRunLog(path, [&](const UpdateRecord& record) { collector.Add(record); });
  collector.Into(curve, points);
  return curve;
}

}  // namespace crescendo::report
