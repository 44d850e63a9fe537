// How many workers compute each phase of a plan, where their number grows with the batch.
//
//   GrowingWorkers(plan, Examples{4096}, /*started=*/4);   // a plan of the batches 8192 and 16,384: 2, 4
//
// One worker for each `worker_batch` examples of the phase's batch, so that a batch that doubles is shared by twice as
// many and what each of them computes stays the same (Smith et al. 2018, section 5.4). But at least one, at most as
// many as were started, and never fewer than before: those that have begun go on, also where the batch falls again.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "crescendo/schedule/plan.h"

namespace crescendo::schedule {

inline constexpr int64_t kAnyNumber = std::numeric_limits<int64_t>::max();

// A number for each phase. A worker computes whole ghost batches: REQUIRES a worker_batch of at least one, so that each
// of these workers has work. `started`: kAnyNumber says how many the plan could use.
std::vector<int64_t> GrowingWorkers(const Plan& plan, Examples worker_batch, int64_t started = kAnyNumber);

}  // namespace crescendo::schedule
