#include "crescendo/schedule/split.h"

#include <algorithm>
#include <numeric>

#include "crescendo/base/error.h"

namespace crescendo::schedule {

GhostSizes SplitIntoGhosts(Examples global_batch, Examples ghost_batch) {
  CRESCENDO_ASSERT(global_batch > Examples{0} && ghost_batch > Examples{0}, "a batch holds examples");
  const int64_t count = std::max<int64_t>(1, global_batch / ghost_batch);
  const int64_t size = global_batch.value() / count;
  const int64_t larger = global_batch.value() % count;
  GhostSizes sizes(static_cast<size_t>(count), size);
  std::fill_n(sizes.begin(), larger, size + 1);
  return sizes;
}

int64_t GhostsBeforeRank(int64_t ghosts, int64_t rank, int64_t ranks) {
  const int64_t larger = ghosts % ranks;  // so many ranks have one ghost more
  return rank * (ghosts / ranks) + std::min(rank, larger);
}

RankShare ShareOfRank(Examples global_batch, Examples ghost_batch, int64_t rank, int64_t ranks) {
  CRESCENDO_ASSERT(0 <= rank && rank < ranks, "a rank is one of the ranks");
  const GhostSizes all = SplitIntoGhosts(global_batch, ghost_batch);
  const auto count = static_cast<int64_t>(all.size());
  const auto begin = all.begin() + GhostsBeforeRank(count, rank, ranks);
  const auto end = all.begin() + GhostsBeforeRank(count, rank + 1, ranks);
  return {.begin = Examples{std::accumulate(all.begin(), begin, int64_t{0})},
          .size = Examples{std::accumulate(begin, end, int64_t{0})},
          .ghosts = GhostSizes(begin, end),
          .ghosts_before = begin - all.begin(),
          .ghosts_after = all.end() - end};
}

std::vector<MicroBatch> SplitIntoMicroBatches(const RankShare& share, Examples micro_batch) {
  std::vector<MicroBatch> parts;
  Examples begin = share.begin;
  for (const int64_t ghost : share.ghosts) {
    if (parts.empty() || parts.back().size.value() + ghost > micro_batch.value()) {
      parts.push_back({begin, Examples{0}, {}});
    }
    parts.back().ghosts.push_back(ghost);
    parts.back().size += Examples{ghost};
    begin += Examples{ghost};
  }
  return parts;
}

std::vector<MicroBatch> SplitIntoMicroBatches(Examples global_batch, Examples ghost_batch, Examples micro_batch) {
  return SplitIntoMicroBatches(ShareOfRank(global_batch, ghost_batch, 0, 1), micro_batch);
}

}  // namespace crescendo::schedule
