#include "crescendo/train/growth.h"

#include "crescendo/schedule/workers.h"
#include "crescendo/train/same_run.h"

namespace crescendo::train {

using schedule::Examples;

int64_t WorkerBatchOf(const config::Options& options) {
  return options.run.worker_batch.value_or(options.model.ghost_batch);
}

std::vector<int64_t> WorkersOfPhases(const config::Options& options, const schedule::Plan& plan, int64_t started) {
  if (options.run.workers == config::Workers::kFixed) return std::vector<int64_t>(plan.phases().size(), started);
  return schedule::GrowingWorkers(plan, Examples{WorkerBatchOf(options)}, started);
}

schedule::RankShare ShareOf(const Parts& parts, const schedule::Setting& setting) {
  return schedule::ShareOfRank(setting.global_batch, Examples{parts.options.model.ghost_batch}, parts.group->rank(),
                               parts.workers_of_phases[setting.phase]);
}

RunPosition FormGroup(Parts& parts, int64_t workers, const RunPosition& position) {
  // The group so far is let go once this one is formed: then nobody is in a meeting of it any more.
  parts.group = parts.all_workers->OfFirst(workers);
  UseThreads(parts, workers);
  return ShareState(parts, position);
}

std::optional<RunPosition> JoinWork(Parts& parts, const RunPosition& start, const std::atomic<int>& stop) {
  const schedule::Plan::Cursor cursor(parts.plan, start.examples);
  const int64_t workers =
      cursor.AtEnd() ? parts.workers_of_phases.back() : parts.workers_of_phases[cursor.setting().phase];
  const int64_t started = parts.all_workers->size();
  if (workers == started) return ShareState(parts, start);
  if (parts.all_workers->rank() < workers) return FormGroup(parts, workers, start);
  const std::optional<int64_t> called = parts.all_workers->WaitForCall(stop);
  if (!called) return std::nullopt;
  return FormGroup(parts, *called, start);
}

}  // namespace crescendo::train
