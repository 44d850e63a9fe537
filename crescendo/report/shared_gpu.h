// Whether runs took a GPU's time from each other: then their seconds say nothing of what an update costs.
#pragma once

#include <vector>

#include "crescendo/report/run_curve.h"

namespace crescendo::report {

// Whether two of the runs trained on one GPU at one time, as far as their logs tell: which GPU it was (of several
// workers, worker 0's), when each part of a run began, and for how long it trained at least.
bool ShareAGpu(const std::vector<const RunCurve*>& runs);

}  // namespace crescendo::report
