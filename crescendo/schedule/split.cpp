#include "crescendo/schedule/split.h"

#include <algorithm>

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

std::vector<MicroBatch> SplitIntoMicroBatches(Examples global_batch, Examples ghost_batch, Examples micro_batch) {
  std::vector<MicroBatch> parts;
  Examples begin{0};
  for (const int64_t ghost : SplitIntoGhosts(global_batch, ghost_batch)) {
    if (parts.empty() || parts.back().size.value() + ghost > micro_batch.value()) {
      parts.push_back({begin, Examples{0}, {}});
    }
    parts.back().ghosts.push_back(ghost);
    parts.back().size += Examples{ghost};
    begin += Examples{ghost};
  }
  return parts;
}

}  // namespace crescendo::schedule
