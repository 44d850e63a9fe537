#include "crescendo/report/worker_estimate.h"

#include <algorithm>
#include <cmath>

namespace crescendo::report {
namespace {

// That batches are told apart by (CostFit::separable).
constexpr double kLeastShare = 0.01;

}  // namespace

void WorkerEstimate::Measured(const BatchCost& cost) { fit_.Measured(cost.examples, cost.updates, cost.seconds); }

bool WorkerEstimate::separable() const { return fit_.separable(kLeastShare); }

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
