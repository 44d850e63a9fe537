// How long a run would take on several workers, from what it took on one.
//
// An update costs something for itself (the optimizer's pass over the weights, launches) and something for each of its
// examples: seconds = a examples + b updates, fitted to what updates of different batches took. Workers share the
// examples and not the update, which is why a larger batch pays on them. The fit only says which share of the time that
// was measured at a batch can be shared out; so a batch that no second worker has work for keeps its time.
#pragma once

#include <cstdint>

#include "crescendo/report/cost_fit.h"
#include "crescendo/report/run_curve.h"

namespace crescendo::report {

class WorkerEstimate {
 public:
  // What a run spent at one batch. Each weighs 1 / its seconds in the fit.
  void Measured(const BatchCost& cost);

  bool separable() const;  // batches were different enough to tell the two costs apart
  double seconds_per_example() const { return fit_.seconds_per_example(); }  // REQUIRES separable(), as the next
  double seconds_per_update() const { return fit_.seconds_per_update(); }
  bool known() const;  // separable, and neither cost came out below 0

  // What `cost`, of updates of `global_batch` examples, would be on `workers`, or on as many as have a ghost batch of
  // their own. Communication is not counted. REQUIRES known().
  double Seconds(const BatchCost& cost, double global_batch, int64_t workers, double ghost_batch) const;

 private:
  CostFit fit_;
};

}  // namespace crescendo::report
