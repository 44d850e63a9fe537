// From the options to what the planner is asked.
#pragma once

#include <cstdint>

#include "crescendo/config/options.h"
#include "crescendo/schedule/plan.h"

namespace crescendo::config {

// For a training set of `train_examples`. Positions become examples here, so this is also where ValidatePositions is
// called: UserError where they contradict each other.
//
// The run's momentum is the reference's, with its table, where schedule.momentum and schedule.momentum_table say
// nothing. Where either is given, the run begins with schedule.momentum (or else reference.momentum) and follows
// schedule.momentum_table alone.
schedule::PlanRequest MakePlanRequest(const Options& options, int64_t train_examples);

}  // namespace crescendo::config
