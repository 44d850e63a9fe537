// How many examples are in memory at once.
#pragma once

#include "crescendo/train/build.h"

namespace crescendo::train {

// run.micro_batch where it is a number. For "auto": one, two, four, ... ghost batches are tried, at most the plan's
// largest batch, and the model is left as it was. A GPU gets the largest that fits; a CPU, for which memory is
// plentiful and only slower to reach, the first beyond which the gain per example is below 3 %. Of several workers the
// smallest choice holds for all.
//
// `memory`: how many bytes of the device a micro-batch may take. What it takes grows at most in proportion to it, so a
// size is tried only where the one before promises that it fits: a CPU does not say that memory is short, it ends the
// program.
schedule::Examples ChooseMicroBatch(Parts& parts, int64_t memory);

// With three quarters of the memory that is free.
schedule::Examples ChooseMicroBatch(Parts& parts);

// How many bytes of a GPU the data set may take: a quarter of what is free, which is what ChooseMicroBatch leaves.
// (data/loader.h says what happens where it needs more.) 0 for a CPU.
int64_t MemoryForData(const Parts& parts);

}  // namespace crescendo::train
