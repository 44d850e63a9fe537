// Which of a run's workers compute: all of them from the start, or more and more as the batch grows (run.workers).
//
//   Parts parts = Build(options, place);                       // all workers meet, load their data, and are compared
//   const auto start = JoinWork(parts, position, stop);        // waits for this worker's turn
//   if (!start) return;                                        // the run has ended without it
//   Trainer trainer(parts, ..., *start);                       // calls those that are to come (FormGroup)
//
// A group is formed anew from what worker 0 holds in memory: weights, running statistics, the optimizer's state and the
// position are sent to all that are in it. Nobody starts again or reads anything for it.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "crescendo/config/options.h"
#include "crescendo/schedule/plan.h"
#include "crescendo/schedule/split.h"
#include "crescendo/train/build.h"
#include "crescendo/train/run_position.h"

namespace crescendo::train {

// How many examples of an update are one worker's where workers grow: run.worker_batch.
int64_t WorkerBatchOf(const config::Options& options);

// For each phase of the plan of these options, how many of the workers that were `started` compute it.
std::vector<int64_t> WorkersOfPhases(const config::Options& options, const schedule::Plan& plan, int64_t started);

// What this worker computes of an update, among those that compute it.
schedule::RankShare ShareOf(const Parts& parts, const schedule::Setting& setting);

// For those that work already, and only where an update's workers are more than parts.group has: from now on the group
// is that of the first `workers`. Returns worker 0's position, for those that come. WorkerLost.
RunPosition FormGroup(Parts& parts, int64_t workers, const RunPosition& position);

// Returns, once this worker is in parts.group and has worker 0's state, where the run stands: at once where the phase
// at `start` has a place for it, else when the batch has grown so far. Nothing where the run ends before. WorkerLost.
std::optional<RunPosition> JoinWork(Parts& parts, const RunPosition& start, const std::atomic<int>& stop);

}  // namespace crescendo::train
