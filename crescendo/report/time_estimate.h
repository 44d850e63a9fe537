// How long the rest of a run takes, when the batch changes on the way.
//
// An update costs something for each of its examples and something for itself (gradient sums, the optimizer's pass over
// the weights, launches). So seconds = a examples + b updates, with a and b fitted to what was measured. Where only one
// batch was seen yet the two cannot be told apart and everything is put on the examples: for larger batches that is
// more than they can cost, so what is given is a bound.
#pragma once

#include "crescendo/report/cost_fit.h"
#include "crescendo/schedule/units.h"

namespace crescendo::report {

class TimeEstimate {
 public:
  // A stretch of training that was measured. Stretches longer than ten minutes ago weigh e times less per further ten
  // minutes.
  void Measured(schedule::Examples examples, schedule::Updates updates, double seconds);

  // Seconds for a stretch to come; 0 before anything was measured.
  double SecondsFor(schedule::Examples examples, schedule::Updates updates) const;

  // Whether SecondsFor gives more than the stretch takes: its batch is larger than all that were measured so far.
  bool IsBoundFor(schedule::Examples examples, schedule::Updates updates) const;

  bool empty() const { return fit_.empty(); }

 private:
  CostFit fit_;
};

}  // namespace crescendo::report
