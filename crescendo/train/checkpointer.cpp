#include "crescendo/train/checkpointer.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "crescendo/train/digest.h"

namespace crescendo::train {
namespace {

namespace fs = std::filesystem;
using schedule::Examples;
using std::chrono::steady_clock;

double SecondsSince(steady_clock::time_point begin) {
  return std::chrono::duration<double>(steady_clock::now() - begin).count();
}

// The logs reach the disk before the checkpoint that counts on them.
void SyncLogs(const RunFolder& folder) {
  SyncFile(folder.log());
  if (!fs::is_directory(folder.events())) return;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder.events())) {
    if (entry.is_regular_file()) SyncFile(entry.path());
  }
}

}  // namespace

bool PassesCheckpoint(const Parts& parts, Examples before, Examples now) {
  const std::optional<config::Position>& every = parts.options.checkpoint.every;
  return every && Passes(every->Resolve(ScaleOf(parts)), before, now);
}

Checkpointer::Checkpointer(RunFolder folder, const Parts& parts, CheckpointState state,
                           std::function<void()> flush_logs, std::vector<Observer*> warned)
    : folder_(std::move(folder)),
      parts_(parts),
      run_state_(std::move(state)),
      flush_logs_(std::move(flush_logs)),
      warned_(std::move(warned)),
      options_(parts.options.checkpoint),
      examples_(run_state_.position.examples),
      best_accuracy_(run_state_.position.best_accuracy),
      last_time_(steady_clock::now()),
      writer_([this](const std::stop_token& stop) { WriterLoop(stop); }) {
  PrepareCheckpointFolder(folder_.checkpoints(), examples_);
  const std::vector<fs::path> there = ListCheckpoints(folder_.checkpoints());
  if (!there.empty()) saved_examples_ = PositionOf(there.front());
}

Checkpointer::~Checkpointer() {
  std::unique_lock lock(mutex_);
  WaitForWriter(lock);
}

void Checkpointer::OnBoundary(const RunPosition& position) {
  WarnOfFailure();
  const bool by_position = DueByPosition(position);
  examples_ = position.examples;
  best_accuracy_ = position.best_accuracy;
  if (!by_position && !DueByTime()) return;
  const auto begin = steady_clock::now();
  {
    std::unique_lock lock(mutex_);
    if (busy_ && !by_position) return;
    WaitForWriter(lock);
  }
  WarnOfFailure();
  CopyForWriter(position);
  stall_seconds_ += SecondsSince(begin);
}

bool Checkpointer::DueByPosition(const RunPosition& position) const {
  if (PassesCheckpoint(parts_, examples_, position.examples)) return true;
  if (options_.keep_best && position.best_accuracy > best_accuracy_) return true;
  if (!options_.at_phase_changes) return false;
  const auto& phases = parts_.plan.phases();
  const auto next = std::ranges::lower_bound(phases, position.examples, {}, &schedule::Phase::begin_example);
  return next != phases.end() && next->begin_example == position.examples;
}

bool Checkpointer::DueByTime() const {
  return options_.minutes > 0 && SecondsSince(last_time_) >= 60 * options_.minutes;
}

void Checkpointer::Save(const RunPosition& position) {
  std::unique_lock lock(mutex_);
  WaitForWriter(lock);
  if (failure_.empty() && position.examples == saved_examples_) return;
  failure_.clear();
  lock.unlock();
  CopyForWriter(position);
  lock.lock();
  WaitForWriter(lock);
  if (failure_.empty()) return;
  saved_examples_ = Examples{-1};
  throw RunError(fmt::format("the checkpoint at example {} could not be kept: {}", position.examples.value(),
                             std::exchange(failure_, "")));
}

void Checkpointer::CopyForWriter(const RunPosition& position) {
  flush_logs_();
  const std::vector<nn::NamedTensor> live = TensorsOf(parts_);
  if (copies_.empty()) {
    // In the memory format of the original: a plain copy.
    for (const nn::NamedTensor& tensor : live) {
      copies_.push_back({tensor.name, at::empty_like(tensor.value.detach(), at::TensorOptions(at::kCPU))});
    }
  }
  for (size_t i = 0; i < live.size(); ++i) copies_[i].value.copy_(live[i].value.detach());
  saved_examples_ = position.examples;
  last_time_ = steady_clock::now();

  const std::lock_guard lock(mutex_);
  job_ = {run_state_, true};
  job_.state.position = position;
  job_.state.written = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  busy_ = true;
  changed_.notify_all();
}

void Checkpointer::WaitForWriter(std::unique_lock<std::mutex>& lock) {
  changed_.wait(lock, [this] { return !busy_; });
}

void Checkpointer::WarnOfFailure() {
  std::string failure;
  {
    const std::lock_guard lock(mutex_);
    failure = std::exchange(failure_, "");
  }
  if (failure.empty()) return;
  for (Observer* observer : warned_) {
    observer->OnWarning(fmt::format("a checkpoint could not be written, the one before is kept: {}", failure));
  }
}

void Checkpointer::WriterLoop(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [this] { return job_.ready; })) {
    job_.ready = false;
    CheckpointState state = std::move(job_.state);
    lock.unlock();
    const auto begin = steady_clock::now();
    std::string failure;
    try {
      Write(std::move(state));
    } catch (const std::exception& error) {
      failure = error.what();
    }
    lock.lock();
    write_seconds_ += SecondsSince(begin);
    if (failure.empty()) ++written_;
    failure_ = failure;
    busy_ = false;
    changed_.notify_all();
  }
}

void Checkpointer::Write(CheckpointState state) {
  // Here and not at the start of the run, which of one worker need not wait for it.
  if (train_sha256_.empty()) train_sha256_ = DigestOf(parts_.data.train);
  if (test_sha256_.empty()) test_sha256_ = DigestOf(parts_.data.test);
  state.train_sha256 = train_sha256_;
  state.test_sha256 = test_sha256_;
  const std::string bytes = nn::SafetensorsBytes(copies_, {});
  SyncLogs(folder_);
  WriteCheckpoint(folder_.checkpoints(), state, bytes);
  RemoveOld();
}

// Keeps the newest keep_last and, with keep_best, the one whose weights tested best.
void Checkpointer::RemoveOld() const {
  if (options_.keep_last == 0) return;
  const std::vector<fs::path> all = ListCheckpoints(folder_.checkpoints());
  const auto keep = static_cast<size_t>(options_.keep_last);
  if (all.size() <= keep) return;
  fs::path best;
  double best_accuracy = -1;
  for (const fs::path& json : all) {  // the newest first; of equals the oldest stays
    if (!options_.keep_best) break;
    try {
      const RunPosition position = ReadCheckpointState(json).position;
      if (position.evaluation.updates != position.updates || position.evaluation.accuracy < best_accuracy) continue;
      best = json;
      best_accuracy = position.evaluation.accuracy;
    } catch (const UserError&) {
      // A damaged one is not the best.
    }
  }
  for (size_t i = keep; i < all.size(); ++i) {
    if (all[i] != best) RemoveCheckpoint(all[i]);
  }
}

void Checkpointer::AddTotals(report::RunFooter& footer) {
  {
    std::unique_lock lock(mutex_);
    WaitForWriter(lock);
  }
  WarnOfFailure();
  const std::lock_guard lock(mutex_);
  footer.checkpoints = written_;
  footer.checkpoint_stall_seconds = stall_seconds_;
  footer.checkpoint_write_seconds = write_seconds_;
}

}  // namespace crescendo::train
