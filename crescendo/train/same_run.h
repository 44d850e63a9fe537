// That all workers train the same, from the same state.
#pragma once

#include "crescendo/config/options.h"
#include "crescendo/data/dataset.h"
#include "crescendo/distributed/group.h"
#include "crescendo/train/build.h"
#include "crescendo/train/run_position.h"

namespace crescendo::train {

// UserError, on the worker that differs from worker 0 and with both values, where a worker was started with another
// version of crescendo, other data, or other options (but for those that change nothing that is learned, and threads).
// The others then fail with the same words. `device`: where this worker computes.
void RequireSameRun(distributed::Group& group, const config::Options& options, at::Device device,
                    const data::DatasetPair& data);

// Gives all workers worker 0's weights, running statistics, state of the optimizer, and position, which is returned.
// (One seed gives all of them the same weights, but on another processor perhaps not the same bits; and what a
// checkpoint held is what worker 0 found in it.)
RunPosition ShareState(Parts& parts, RunPosition position);

}  // namespace crescendo::train
