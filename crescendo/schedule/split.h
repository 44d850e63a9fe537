// How an update's global batch is cut: into ghost batches, by position alone, and these into micro-batches.
//
// Ghost batches share batch-norm statistics, so they are part of what is computed: they depend on the global batch and the
// ghost batch only. Micro-batches are whole ghost batches and exist for memory and speed: they change nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "crescendo/schedule/units.h"

namespace crescendo::schedule {

// The sizes of consecutive ghost batches.
using GhostSizes = std::vector<int64_t>;

// max(1, global_batch div ghost_batch) ghosts whose sizes differ by at most one, the larger first. Each has at least ghost_batch
// examples, but for a global batch below that. (1000 at 128: 7 ghosts, of 143 143 143 143 143 143 142.)
GhostSizes SplitIntoGhosts(Examples global_batch, Examples ghost_batch);

struct MicroBatch {
  Examples begin;  // offset in the global batch
  Examples size;
  GhostSizes ghosts;  // sum = size
};

// Consecutive ghosts, as many as fit into `micro_batch` examples but at least one.
std::vector<MicroBatch> SplitIntoMicroBatches(Examples global_batch, Examples ghost_batch, Examples micro_batch);

}  // namespace crescendo::schedule
