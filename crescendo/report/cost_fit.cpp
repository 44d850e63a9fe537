#include "crescendo/report/cost_fit.h"

namespace crescendo::report {

void CostFit::Measured(double examples, double updates, double seconds) {
  if (!(seconds > 0) || updates <= 0) return;
  examples_examples_ += examples * examples / seconds;
  examples_updates_ += examples * updates / seconds;
  updates_updates_ += updates * updates / seconds;
  examples_seconds_ += examples;
  updates_seconds_ += updates;
}

void CostFit::Weigh(double times) {
  examples_examples_ *= times;
  examples_updates_ *= times;
  updates_updates_ *= times;
  examples_seconds_ *= times;
  updates_seconds_ *= times;
}

bool CostFit::separable(double least_share) const {
  return Determinant() > least_share * examples_examples_ * updates_updates_;
}

double CostFit::seconds_per_example() const {
  return (examples_seconds_ * updates_updates_ - updates_seconds_ * examples_updates_) / Determinant();
}

double CostFit::seconds_per_update() const {
  return (updates_seconds_ * examples_examples_ - examples_seconds_ * examples_updates_) / Determinant();
}

}  // namespace crescendo::report
