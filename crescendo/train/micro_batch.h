// How many examples are in memory at once.
#pragma once

#include "crescendo/train/build.h"

namespace crescendo::train {

// run.micro_batch where it is a number. For "auto": one, two, four, ... ghost batches are tried, at most the plan's
// largest batch, and the model is left as it was. A GPU gets the largest that fits; a CPU, for which memory is
// plentiful and only slower to reach, the first beyond which the gain per example is below 3 %.
//
// `memory`: how many bytes of the device a micro-batch may take. What it takes grows at most in proportion to it, so a
// size is tried only where the one before promises that it fits: a CPU does not say that memory is short, it ends the
// program.
schedule::Examples ChooseMicroBatch(Parts& parts, int64_t memory);

// Of the memory that is free before training, three quarters for a micro-batch and a quarter for the data set (on a
// GPU; loader.h says what happens to one that needs more).
int64_t MemoryForMicroBatch(const Parts& parts);
int64_t MemoryForData(const Parts& parts);

}  // namespace crescendo::train
