#include "crescendo/train/session.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <ctime>
#include <exception>
#include <optional>

#include "crescendo/base/error.h"
#include "crescendo/base/version.h"
#include "crescendo/config/describe.h"
#include "crescendo/config/difference.h"
#include "crescendo/config/load.h"
#include "crescendo/data/csv.h"
#include "crescendo/device/device.h"
#include "crescendo/distributed/local_group.h"
#include "crescendo/report/log_continuation.h"
#include "crescendo/train/archive.h"
#include "crescendo/train/checkpointer.h"
#include "crescendo/train/digest.h"
#include "crescendo/train/growth.h"
#include "crescendo/train/micro_batch.h"
#include "crescendo/train/trainer.h"
#include "crescendo/train/weights.h"

namespace crescendo::train {
namespace {

std::string Now() { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))); }

report::RunHeader MakeHeader(const Parts& parts, const config::Options& recorded, const MicroBatchChoice& choice) {
  report::RunHeader header;
  header.config_toml = config::ToToml(recorded);
  header.crescendo_version = Version();
  header.commit = Commit();
  header.torch_version = TORCH_VERSION;
  header.compiler = Compiler();
  header.machine = device::DescribeMachine();
  header.device = device::DescribeDevice(parts.device);
  header.gpu_id = device::GpuId(parts.device);
  header.workers = parts.group->size();
  header.threads = device::Threads();
  header.micro_batch = choice.size.value();
  header.parameters = parts.model->parameter_count();
  header.train_examples = parts.data.train.labels.size(0);
  header.test_examples = parts.data.test.labels.size(0);
  header.total_updates = parts.plan.total_updates().value();
  header.total_examples = parts.plan.total_examples().value();
  header.started = Now();
  return header;
}

report::ResumeRecord MakeResumeRecord(const report::RunHeader& header, const Continuation& next) {
  const RunPosition& position = next.checkpoint.state.position;
  report::ResumeRecord record;
  static_cast<report::Sitting&>(record) = header;
  record.updates = position.updates;
  record.examples = position.examples;
  record.train_seconds = position.train_seconds;
  record.changes = next.changes;
  record.evaluation = position.evaluation;
  return record;
}

// What the checkpoints of a run have in common.
CheckpointState MakeState(const Parts& parts, const report::RunHeader& header, const RunPosition& start) {
  CheckpointState state;
  state.position = start;
  state.config_toml = header.config_toml;
  state.device = parts.device.is_cuda() ? "cuda" : "cpu";
  state.workers = header.workers;
  state.threads = header.threads;
  state.micro_batch = header.micro_batch;
  state.plan_sha256 = DigestOf(parts.plan);
  state.crescendo_version = header.crescendo_version;
  state.commit = header.commit;
  state.torch_version = header.torch_version;
  state.machine = header.machine;
  state.gpu = device::GpuModel(parts.device);
  return state;
}

// Another GPU has another memory: where the micro-batch was left to be chosen, it is chosen anew. Worker 0's GPU
// decides.
void ForgetMicroBatchOfOtherGpu(Parts& parts, const Continuation& next, const std::vector<Observer*>& watchers) {
  const std::string& before = next.checkpoint.state.gpu;
  if (before.empty() || !parts.device.is_cuda()) return;
  const std::string now = parts.all_workers->BroadcastText(device::GpuModel(parts.device));
  if (now == before) return;
  if (!next.options.run.micro_batch) parts.options.run.micro_batch.reset();
  if (parts.all_workers->rank() > 0) return;
  for (Observer* watcher : watchers) watcher->OnWarning(OtherBits("the GPU", before, now));
}

// What is worth most first: the weights of a finished run, the state of one that is to go on. Where one of them cannot
// be saved, the others still are.
void Keep(const RunFolder& folder, const Parts& parts, const config::Options& recorded, Trainer& trainer,
          report::RunEnd end, Checkpointer& checkpointer, const std::vector<Observer*>& observers) {
  const bool finished = end == report::RunEnd::kFinished;
  const auto save_weights = [&] {
    try {
      SaveWeights(folder.weights(), *parts.model, recorded, parts.data.table, end);
    } catch (const std::exception& error) {
      trainer.Fail(error);
    }
  };
  if (finished) save_weights();
  try {
    const bool wanted = !finished || parts.options.checkpoint.at_end;
    if (wanted && trainer.at_boundary()) checkpointer.Save(trainer.position());
  } catch (const std::exception& error) {
    for (Observer* observer : observers) observer->OnWarning(error.what());
    if (end == report::RunEnd::kInterrupted) trainer.Fail(error);
  }
  if (!finished) save_weights();
}

void WarnOfIdle(int64_t most, int64_t started, const std::vector<Observer*>& observers) {
  for (Observer* observer : observers) {
    observer->OnWarning(
        fmt::format("the largest batch has work for {} of the {} workers; the others wait to the end", most, started));
  }
}

// Of a worker whose turn has not come before the run has ended.
report::RunFooter FooterOfWaiting(const std::atomic<int>& stop) {
  report::RunFooter footer;
  footer.stop_signal = stop;
  footer.end = stop == 0 ? report::RunEnd::kFinished : report::RunEnd::kInterrupted;
  return footer;
}

// What a killed branch goes on from: begun again from nothing it would be another run. Where it cannot be kept, as on a
// full disk, such a branch cannot be resumed, and the command that would do it says so.
void KeepStartOfBranch(Checkpointer& checkpointer, const RunPosition& start, const std::vector<Observer*>& observers) {
  try {
    checkpointer.Save(start);
  } catch (const std::exception& error) {
    for (Observer* observer : observers) observer->OnWarning(error.what());
  }
}

// Trains from `start` to the end and leaves checkpoints and weights behind. `header.config_toml` is the recorded
// config, which may leave to be chosen what parts.options have chosen. `archive`: worker 0's; the others have none, and
// write nothing.
report::RunFooter Execute(const RunFolder& folder, Parts& parts, const config::Options& recorded,
                          const report::RunHeader& header, const RunPosition& given_start, Archive* archive,
                          std::vector<Observer*> observers, const std::atomic<int>& stop) {
  const std::optional<RunPosition> joined = JoinWork(parts, given_start, stop);
  if (!joined) return FooterOfWaiting(stop);
  const RunPosition& start = *joined;
  std::optional<Checkpointer> checkpointer;
  if (archive != nullptr) {
    checkpointer.emplace(
        folder, parts, MakeState(parts, header, start), [archive] { archive->Flush(); }, observers);
    if (!header.branched_from.empty()) KeepStartOfBranch(*checkpointer, start, observers);
    observers.push_back(&*checkpointer);
    const int64_t most = parts.workers_of_phases.back();
    const int64_t started = parts.all_workers->size();
    if (most < started) WarnOfIdle(most, started, observers);
  }
  // A run that was stopped before a size was chosen asks for one all the same, and never uses it.
  const schedule::Examples micro_batch{std::max<int64_t>(header.micro_batch, 1)};
  Trainer trainer(parts, micro_batch, observers, stop, start);
  const report::RunEnd end = trainer.Train();
  report::RunFooter footer;
  if (checkpointer) {
    Keep(folder, parts, recorded, trainer, end, *checkpointer, observers);
    checkpointer->AddTotals(footer);
  }
  return trainer.Close(footer);
}

// Runs `train`. What goes wrong on one worker is told to the others, so that they end with the same words.
template <class Train>
report::RunFooter ForAllWorkers(Parts& parts, const Train& train) {
  try {
    return train(parts.group->rank() == 0);
  } catch (const std::exception& error) {
    parts.group->Abandon(error.what());
    throw;
  }
}

std::vector<Observer*> Joined(Archive& archive, const std::vector<Observer*>& watchers) {
  std::vector<Observer*> observers{&archive};
  observers.insert(observers.end(), watchers.begin(), watchers.end());
  return observers;
}

// A config that came to no plan would be in the way of the next try.
void WriteConfigAndPlanOrNothing(const RunFolder& folder, const config::Options& recorded, const schedule::Plan& plan) {
  try {
    folder.WriteConfigAndPlan(recorded, plan);
  } catch (...) {
    folder.Clear();
    throw;
  }
}

// A run that begins at `start`, in a fresh folder.
report::RunFooter Begin(const RunFolder& folder, Parts& parts, const config::Options& recorded,
                        const report::RunHeader& header, const RunPosition& start,
                        const std::vector<Observer*>& watchers, const std::atomic<int>& stop, bool writes) {
  if (!writes) return Execute(folder, parts, recorded, header, start, nullptr, {}, stop);
  // config.toml is what makes the folder a run. That of a branch has to know by then that it is one.
  const bool is_branch = !header.branched_from.empty();
  if (!is_branch) WriteConfigAndPlanOrNothing(folder, recorded, parts.plan);
  Archive archive(folder);
  const std::vector<Observer*> observers = Joined(archive, watchers);
  for (Observer* observer : observers) {
    observer->OnHeader(header);
    for (const std::string& warning : parts.data.warnings) observer->OnWarning(warning);
  }
  if (is_branch) folder.WriteConfigAndPlan(recorded, parts.plan);
  return Execute(folder, parts, recorded, header, start, &archive, observers, stop);
}

}  // namespace

report::RunFooter TrainInto(const RunFolder& folder, Parts& parts, const std::vector<Observer*>& watchers,
                            const std::atomic<int>& given_stop) {
  return ForAllWorkers(parts, [&](bool writes) {
    const MicroBatchChoice choice = ChooseMicroBatch(parts, given_stop);
    const std::atomic<int>& stop = choice.StopOr(given_stop);
    return Begin(folder, parts, parts.options, MakeHeader(parts, parts.options, choice), {}, watchers, stop, writes);
  });
}

report::RunFooter TrainInto(const RunFolder& folder, const config::Options& options,
                            const std::vector<Observer*>& watchers, const std::atomic<int>& stop) {
  Parts parts = Build(options);
  return TrainInto(folder, parts, watchers, stop);
}

report::RunFooter ResumeIn(const RunFolder& folder, const Continuation& next, const std::vector<Observer*>& watchers,
                           const std::atomic<int>& given_stop, const distributed::WorkerPlace& place) {
  const CheckpointState& state = next.checkpoint.state;
  const RunPosition& position = state.position;
  Parts parts = Build(next.layout, place);
  return ForAllWorkers(parts, [&](bool writes) {
    RequireSameData(state, parts.data);
    ForgetMicroBatchOfOtherGpu(parts, next, watchers);
    const MicroBatchChoice choice = ChooseMicroBatch(parts, given_stop);  // what the checkpoint states, if it does
    const std::atomic<int>& stop = choice.StopOr(given_stop);
    Restore(next.checkpoint, parts, OptimizerState::kRequired);
    const report::RunHeader header = MakeHeader(parts, next.options, choice);
    if (!writes) return Execute(folder, parts, next.options, header, position, nullptr, {}, stop);

    // From here on the folder is changed.
    const report::LogPosition seen{position.updates, position.examples, position.evaluation.updates,
                                   position.evaluation.examples};
    const report::RunLogCut cut = report::CutRunLog(folder.log(), seen);
    report::CutEventLog(folder.events(), seen);
    if (!config::DifferencesBetween(OptionsOf(folder, {}), next.options).empty()) {
      folder.WriteConfigAndPlan(next.options, parts.plan);
    }
    Archive archive(folder, report::RunLog::Open::kAppend);
    if (!cut.has_header) archive.OnHeader(header);
    for (Observer* watcher : watchers) {
      watcher->OnHeader(header);
      if (!cut.warning.empty()) watcher->OnWarning(cut.warning);
    }
    const std::vector<Observer*> observers = Joined(archive, watchers);
    for (Observer* observer : observers) observer->OnResume(MakeResumeRecord(header, next));
    return Execute(folder, parts, next.options, header, position, &archive, observers, stop);
  });
}

report::RunFooter BranchInto(const std::filesystem::path& path, const Continuation& next,
                             const std::vector<Observer*>& watchers, const std::atomic<int>& given_stop,
                             const distributed::WorkerPlace& place) {
  RunPosition start = next.checkpoint.state.position;
  Parts parts = Build(next.layout, place);
  return ForAllWorkers(parts, [&](bool writes) {
    if (start.examples >= parts.plan.total_examples()) {
      throw UserError(
          fmt::format("the checkpoint is at example {}, where the new schedule has ended (schedule.length: {} "
                      "examples); give a longer one, or --at an earlier position",
                      start.examples.value(), parts.plan.total_examples().value()));
    }
    start.updates = schedule::Plan::Cursor(parts.plan, start.examples).setting().update;  // as its own plan counts
    // Before the state is there, since measuring uses the model.
    const MicroBatchChoice choice = ChooseMicroBatch(parts, given_stop);
    const std::atomic<int>& stop = choice.StopOr(given_stop);
    Restore(next.checkpoint, parts, next.optimizer);
    report::RunHeader header = MakeHeader(parts, next.options, choice);
    header.branched_from = next.branched_from;
    header.begin_examples = start.examples;
    const RunFolder folder = writes ? RunFolder::Create(path, /*force=*/false, "--branch") : RunFolder(path);
    return Begin(folder, parts, next.options, header, start, watchers, stop, writes);
  });
}

}  // namespace crescendo::train
