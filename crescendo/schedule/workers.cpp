#include "crescendo/schedule/workers.h"

#include <algorithm>

#include "crescendo/base/error.h"

namespace crescendo::schedule {

std::vector<int64_t> GrowingWorkers(const Plan& plan, Examples worker_batch, int64_t started) {
  CRESCENDO_ASSERT(worker_batch > Examples{0} && started > 0, "there are workers, and they have work");
  std::vector<int64_t> workers;
  int64_t most = 1;
  for (const Phase& phase : plan.phases()) {
    most = std::max(most, std::min(phase.global_batch / worker_batch, started));
    workers.push_back(most);
  }
  return workers;
}

}  // namespace crescendo::schedule
