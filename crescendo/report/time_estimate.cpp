#include "crescendo/report/time_estimate.h"

#include <cmath>

namespace crescendo::report {
namespace {

constexpr double kMemorySeconds = 600;

// Below this share of its possible size the determinant of the fit is noise: all updates had nearly the same batch.
constexpr double kLeastIndependence = 1e-4;

// A mean batch up to so many times another is the same: short updates are among those measured.
constexpr double kSameBatch = 1.01;

}  // namespace

void TimeEstimate::Measured(schedule::Examples examples, schedule::Updates updates, double seconds) {
  if (!(seconds > 0) || updates <= schedule::Updates{0}) return;
  const double e = static_cast<double>(examples.value());
  const double u = static_cast<double>(updates.value());
  const double kept = std::exp(-seconds / kMemorySeconds);
  examples_examples_ = kept * examples_examples_ + e * e / seconds;
  examples_updates_ = kept * examples_updates_ + e * u / seconds;
  updates_updates_ = kept * updates_updates_ + u * u / seconds;
  examples_seconds_ = kept * examples_seconds_ + e;
  updates_seconds_ = kept * updates_seconds_ + u;
}

double TimeEstimate::Determinant() const {
  const double size = examples_examples_ * updates_updates_;
  const double determinant = size - examples_updates_ * examples_updates_;
  return determinant > kLeastIndependence * size ? determinant : 0;
}

bool TimeEstimate::IsBoundFor(schedule::Examples examples, schedule::Updates updates) const {
  if (empty() || Determinant() > 0) return false;
  const double measured = examples_examples_ / examples_updates_;  // the one batch
  return static_cast<double>(examples.value()) > kSameBatch * measured * static_cast<double>(updates.value());
}

double TimeEstimate::SecondsFor(schedule::Examples examples, schedule::Updates updates) const {
  if (empty()) return 0;
  // The normal equations of seconds ~ a e + b u, with neither cost below 0.
  double per_example = examples_seconds_ / examples_examples_;
  double per_update = 0;
  if (const double determinant = Determinant(); determinant > 0) {
    const double a = (examples_seconds_ * updates_updates_ - updates_seconds_ * examples_updates_) / determinant;
    const double b = (updates_seconds_ * examples_examples_ - examples_seconds_ * examples_updates_) / determinant;
    if (a < 0) {
      per_example = 0;
      per_update = updates_seconds_ / updates_updates_;
    } else if (b >= 0) {
      per_example = a;
      per_update = b;
    }
  }
  return per_example * static_cast<double>(examples.value()) + per_update * static_cast<double>(updates.value());
}

}  // namespace crescendo::report
