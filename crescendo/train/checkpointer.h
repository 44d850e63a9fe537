// Takes checkpoints while a run goes on, where [checkpoint] says.
//
//   Checkpointer checkpointer(folder, parts, state, flush_logs, watchers);
//   ... an observer of the trainer ...
//   checkpointer.Save(trainer.position());   // at the end: now, and on the disk when it returns
//
// Training waits while the tensors are copied on the host, into memory that is kept for the next checkpoint; a thread
// writes the copy. Where the next is due by position before the last is on the disk, training waits for that too, so
// that every position that was asked for gets its checkpoint; one that is due by time waits for its turn instead.
//
// A checkpoint that cannot be written (a full disk) is told to the observers as a warning and the run goes on; the
// checkpoints that were there are kept, and what is due next is tried again.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "crescendo/train/build.h"
#include "crescendo/train/checkpoint.h"
#include "crescendo/train/observer.h"
#include "crescendo/train/run_folder.h"

namespace crescendo::train {

// Whether checkpoint.every asks for one at an update that begins at `before` and ends at `now`.
bool PassesCheckpoint(const Parts& parts, schedule::Examples before, schedule::Examples now);

class Checkpointer : public Observer {
 public:
  // `parts` must outlive it. `state`: what holds for the whole run; position, time and digests of the data are filled
  // in. `flush_logs` must bring all records out to run.jsonl and the event files: a checkpoint never knows more than
  // they do. `warned` are told what went wrong, on the training's thread.
  Checkpointer(RunFolder folder, const Parts& parts, CheckpointState state, std::function<void()> flush_logs,
               std::vector<Observer*> warned);
  ~Checkpointer() override;                    // waits for the checkpoint that is being written
  Checkpointer(const Checkpointer&) = delete;  // its writer knows it by its address
  Checkpointer& operator=(const Checkpointer&) = delete;

  void OnBoundary(const RunPosition& position) override;

  // RunError where it cannot be written.
  void Save(const RunPosition& position);

  // Of what was written so far: fields checkpoint... of a footer.
  void AddTotals(report::RunFooter& footer);

 private:
  struct Job {
    CheckpointState state;
    bool ready = false;  // copied, and not taken by the writer yet
  };

  bool DueByPosition(const RunPosition& position) const;
  bool DueByTime() const;
  void CopyForWriter(const RunPosition& position);  // REQUIRES an idle writer
  void WaitForWriter(std::unique_lock<std::mutex>& lock);
  void WarnOfFailure();
  void WriterLoop(const std::stop_token& stop);
  void Write(CheckpointState state);
  void RemoveOld() const;

  const RunFolder folder_;
  const Parts& parts_;
  const CheckpointState run_state_;
  const std::function<void()> flush_logs_;
  const std::vector<Observer*> warned_;
  const config::CheckpointOptions options_;

  // Of the training's thread.
  schedule::Examples examples_;            // at the last boundary
  schedule::Examples saved_examples_{-1};  // of the last checkpoint
  double best_accuracy_ = -1;
  std::chrono::steady_clock::time_point last_time_;
  double stall_seconds_ = 0;

  // Shared with the writer; the copies are the writer's while it is busy.
  std::mutex mutex_;
  std::condition_variable_any changed_;
  Job job_;
  bool busy_ = false;
  std::vector<nn::NamedTensor> copies_;
  std::string failure_;  // "" or why the last could not be written
  int64_t written_ = 0;
  double write_seconds_ = 0;

  // Of the writer.
  std::string train_sha256_;
  std::string test_sha256_;

  std::jthread writer_;  // last: it uses all of the above
};

}  // namespace crescendo::train
