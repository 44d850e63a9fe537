// From a learning-rate schedule to the equivalent batch schedule.
//
// The reference gives the noise scale g at each position. Any batch B has that noise at one learning rate (Smith et al.
// 2018; LearningRateForNoise), so rounding, multiples, limits, warm-up, smooth shapes and the hybrid are one rule:
// choose B as near as the limits allow to the batch at which this run's learning rate would stay what it is; give the
// learning rate the rest.
#pragma once

#include "crescendo/schedule/plan.h"

namespace crescendo::schedule {

// UserError, naming the option, where the request cannot be met: a first batch below one example, a reference batch
// above N, the cap reached under AtCap::kError.
Plan MakePlan(PlanRequest request);

// The real number that `global_batch` is rounded from at a position: the batch at which this run's learning rate needs
// no change.
double IdealBatch(const PlanRequest& request, Examples position);

// The learning rate of an update of `global_batch` examples that begins at `position`.
double LearningRateOf(const PlanRequest& request, Examples position, Examples global_batch);

// The reference's noise scale at a position, in the form held constant.
double ReferenceNoiseScale(const PlanRequest& request, Examples position);

// The largest batch that limit and rounding allow together.
Examples LargestAllowedBatch(const PlanRequest& request);

}  // namespace crescendo::schedule
