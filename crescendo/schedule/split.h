// How an update's global batch is cut: into ghost batches, by position alone, and these into micro-batches.
//
// Ghost batches share batch-norm statistics, so they are part of what is computed: they depend on the global batch and
// the ghost batch only. Ranks take whole ghost batches, consecutive ones, and cut their share into micro-batches, which
// are whole ghost batches again. Both exist for memory and speed: they change nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "crescendo/schedule/units.h"

namespace crescendo::schedule {

// The sizes of consecutive ghost batches.
using GhostSizes = std::vector<int64_t>;

// max(1, global_batch div ghost_batch) ghosts whose sizes differ by at most one, the larger first. Each has at least
// ghost_batch examples, but for a global batch below that. (1000 at 128: 7 ghosts, of 143 143 143 143 143 143 142.)
GhostSizes SplitIntoGhosts(Examples global_batch, Examples ghost_batch);

// The part of a global batch that one rank computes.
struct RankShare {
  Examples begin;         // offset in the global batch
  Examples size;          // 0 on a rank that has no part in this update
  GhostSizes ghosts;      // sum = size
  int64_t ghosts_before;  // those of the ranks before this one
  int64_t ghosts_after;   // those of the ranks behind this one
};

// How many of `ghosts` are dealt to ranks before `rank`, in the deal of ShareOfRank; all of them for rank = ranks.
int64_t GhostsBeforeRank(int64_t ghosts, int64_t rank, int64_t ranks);

// The ghosts dealt to the ranks in order, consecutive ones to each, as evenly as whole ghosts allow: numbers of ghosts
// differ by at most one, the first ranks have the larger, and where there are fewer ghosts than ranks the last ranks
// have none. (1000 at 128 on 3 ranks: 143 143 143 | 143 143 | 143 142.)  REQUIRES 0 <= rank < ranks.
RankShare ShareOfRank(Examples global_batch, Examples ghost_batch, int64_t rank, int64_t ranks);

struct MicroBatch {
  Examples begin;  // offset in the global batch
  Examples size;
  GhostSizes ghosts;  // sum = size
};

// Consecutive ghosts, as many as fit into `micro_batch` examples but at least one. None for an empty share.
std::vector<MicroBatch> SplitIntoMicroBatches(const RankShare& share, Examples micro_batch);

// The same of a whole global batch: one rank's.
std::vector<MicroBatch> SplitIntoMicroBatches(Examples global_batch, Examples ghost_batch, Examples micro_batch);

}  // namespace crescendo::schedule
