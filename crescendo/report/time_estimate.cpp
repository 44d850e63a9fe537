#include "crescendo/report/time_estimate.h"

#include <cmath>

namespace crescendo::report {
namespace {

constexpr double kMemorySeconds = 600;

// That batches are told apart by (CostFit::separable).
constexpr double kLeastShare = 1e-4;

// A mean batch up to so many times another is the same: short updates are among those measured.
constexpr double kSameBatch = 1.01;

}  // namespace

void TimeEstimate::Measured(schedule::Examples examples, schedule::Updates updates, double seconds) {
  if (!(seconds > 0) || updates <= schedule::Updates{0}) return;
  fit_.Weigh(std::exp(-seconds / kMemorySeconds));
  fit_.Measured(static_cast<double>(examples.value()), static_cast<double>(updates.value()), seconds);
}

bool TimeEstimate::IsBoundFor(schedule::Examples examples, schedule::Updates updates) const {
  if (empty() || fit_.separable(kLeastShare)) return false;
  return static_cast<double>(examples.value()) > kSameBatch * fit_.batch() * static_cast<double>(updates.value());
}

double TimeEstimate::SecondsFor(schedule::Examples examples, schedule::Updates updates) const {
  if (empty()) return 0;
  // Neither cost below 0.
  double per_example = fit_.seconds_per_example_alone();
  double per_update = 0;
  if (fit_.separable(kLeastShare)) {
    if (fit_.seconds_per_example() < 0) {
      per_example = 0;
      per_update = fit_.seconds_per_update_alone();
    } else if (fit_.seconds_per_update() >= 0) {
      per_example = fit_.seconds_per_example();
      per_update = fit_.seconds_per_update();
    }
  }
  return per_example * static_cast<double>(examples.value()) + per_update * static_cast<double>(updates.value());
}

}  // namespace crescendo::report
