// How many examples are in memory at once.
#pragma once

#include "crescendo/train/build.h"

namespace crescendo::train {

// run.micro_batch where it is a number. For "auto": one, two, four, ... ghost batches are tried with random examples,
// as long as they are part of the plan, fit into memory and are at least 3 % faster per example than half as many. The
// model is left as it was.
schedule::Examples ChooseMicroBatch(Parts& parts);

}  // namespace crescendo::train
