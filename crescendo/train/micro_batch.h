// How many examples are in memory at once.
#pragma once

#include <atomic>
#include <cstdint>

#include "crescendo/train/build.h"

namespace crescendo::train {

struct MicroBatchChoice {
  schedule::Examples size;           // 0 where measuring was stopped
  std::atomic<int> stop_signal = 0;  // by which, on any worker

  // What stops the run from here on: where one worker was stopped while it measured, all are.
  const std::atomic<int>& StopOr(const std::atomic<int>& stop) const { return stop_signal != 0 ? stop_signal : stop; }
};

// run.micro_batch where it is a number. For "auto": one, two, four, ... ghost batches are tried, at most the plan's
// largest batch, and the model is left as it was. A GPU gets the largest that fits; a CPU, for which memory is
// plentiful and only slower to reach, the first beyond which the gain per example is below 3 %. Of several workers the
// smallest choice holds for all.
//
// `memory`: how many bytes of the device a micro-batch may take. What it takes grows at most in proportion to it, so a
// size is tried only where the one before promises that it fits: a CPU does not say that memory is short, it ends the
// program. `stop` is looked at between two passes: once it is a signal's number, on any worker, nothing is chosen.
MicroBatchChoice ChooseMicroBatch(Parts& parts, const std::atomic<int>& stop, int64_t memory);

// With three quarters of the memory that is free; with CUDA graphs, which have memory of their own, with half of that.
MicroBatchChoice ChooseMicroBatch(Parts& parts, const std::atomic<int>& stop);

// How many bytes of a GPU the data set may take: a quarter of what is free, which ChooseMicroBatch leaves at least.
// (data/loader.h says what happens where it needs more.) 0 for a CPU.
int64_t MemoryForData(const Parts& parts);

}  // namespace crescendo::train
