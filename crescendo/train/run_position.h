// Where a run stands between two updates: with the tensors of model and optimizer, all that its future depends on. The
// same on every worker, and a function of what was trained alone (but for the seconds).
#pragma once

#include "crescendo/report/record.h"

namespace crescendo::train {

struct RunPosition {
  schedule::Updates updates;    // done; in a run that branched off another, as its own plan counts them
  schedule::Examples examples;  // seen: the clock

  // Of the last update: what schedule.momentum_buffer compares the next one with.
  schedule::Examples phase_batch;
  double momentum = 0;

  double loss = 0;               // of the last update
  double unlogged_loss_sum = 0;  // of the examples of the updates since the last that was logged
  schedule::Examples unlogged_examples;
  report::EvaluationRecord evaluation;  // the last; updates 0 where there was none
  double best_accuracy = -1;            // of all evaluations

  double train_seconds = 0;        // without evaluations
  double loader_wait_seconds = 0;  // of that, waiting for examples
  double total_seconds = 0;        // since the run was started, without the time it was stopped
};

// Whether one of the positions every, 2 every, ... lies behind `before`, and at `now` or before it.
inline bool Passes(schedule::Examples every, schedule::Examples before, schedule::Examples now) {
  return now / every > before / every;
}

}  // namespace crescendo::train
