#include "crescendo/report/worker_estimate.h"

#include <algorithm>
#include <cmath>

namespace crescendo::report {
namespace {

// Below this share of its possible size the determinant of the fit is noise: all updates had nearly the same batch.
constexpr double kLeastIndependence = 0.01;

}  // namespace

void WorkerEstimate::Measured(const BatchCost& cost) {
  if (!(cost.seconds > 0) || cost.updates <= 0) return;
  examples_examples_ += cost.examples * cost.examples / cost.seconds;
  examples_updates_ += cost.examples * cost.updates / cost.seconds;
  updates_updates_ += cost.updates * cost.updates / cost.seconds;
  examples_seconds_ += cost.examples;
  updates_seconds_ += cost.updates;
}

double WorkerEstimate::seconds_per_example() const {
  const double determinant = examples_examples_ * updates_updates_ - examples_updates_ * examples_updates_;
  return (examples_seconds_ * updates_updates_ - updates_seconds_ * examples_updates_) / determinant;
}

double WorkerEstimate::seconds_per_update() const {
  const double determinant = examples_examples_ * updates_updates_ - examples_updates_ * examples_updates_;
  return (updates_seconds_ * examples_examples_ - examples_seconds_ * examples_updates_) / determinant;
}

bool WorkerEstimate::separable() const {
  const double size = examples_examples_ * updates_updates_;
  const double determinant = size - examples_updates_ * examples_updates_;
  return size > 0 && determinant > kLeastIndependence * size;
}

bool WorkerEstimate::known() const { return separable() && seconds_per_example() >= 0 && seconds_per_update() >= 0; }

double WorkerEstimate::Seconds(const BatchCost& cost, double global_batch, int64_t workers, double ghost_batch) const {
  const double most = std::max(1.0, std::floor(global_batch / ghost_batch));
  const double useful = std::min(static_cast<double>(workers), most);
  const double of_updates = seconds_per_update() * cost.updates;
  const double of_examples = seconds_per_example() * cost.examples;
  const double alone = of_updates + of_examples;
  return alone > 0 ? cost.seconds * (of_updates + of_examples / useful) / alone : cost.seconds;
}

}  // namespace crescendo::report
