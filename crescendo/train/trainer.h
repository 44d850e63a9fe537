// Runs a plan: each update exactly as the plan says, whatever the micro-batch.
//
//   Parts parts = Build(options);
//   Trainer trainer(parts, micro_batch, observers, stop);
//   trainer.Train();                                // to the end of the plan, or until stopped
//   SaveWeights(...);                               // before anything else can go wrong
//   report::RunFooter footer = trainer.Close();     // last evaluation, footer
//
// The clock is examples seen; the plan gives every update's batch, learning rate and momentum as a function of it. An
// update's loss is the sum over its micro-batches, divided once by the global batch (no mean of means); its ghost
// batches are cut by position in the global batch. So micro-batches, loader threads and prefetching change neither the
// order of the examples nor the statistics.
//
// With several workers each has a trainer, which computes the worker's share of every update; what they add up, and in
// which order, is in update_sum.h. All take the same steps with the same weights, and stop at the same update. Where
// more of them compute a phase than the one before, the group is formed anew between two updates (growth.h).
//
// With run.gpu_graphs the host does not wait for a GPU at every update: losses are left there and are read together,
// those of about half a second, and where a state has to be known (evaluations, checkpoints, ends of phases). The
// records of updates follow then, none is left out. Where a loss is not finite, that update and all after it have
// changed nothing, which the device sees to, and the run has failed at that update, as it would have otherwise.
//
// Between two updates all state is in RunPosition, in the model and in the optimizer; a trainer that is given the three
// as they were goes on as if it had never stopped.
#pragma once

#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crescendo/data/loader.h"
#include "crescendo/train/build.h"
#include "crescendo/train/observer.h"
#include "crescendo/train/recorded_micro_batches.h"
#include "crescendo/train/running_statistics.h"
#include "crescendo/train/update_sum.h"

namespace crescendo::train {

class Trainer {
 public:
  // `parts` must outlive the trainer; parts.group is that of the update at `start` (JoinWork). `stop` is looked at
  // between micro-batches: once it is a signal's number, on any worker, the run ends with what it has; an update that
  // was not finished leaves no trace in weights, running statistics or optimizer. `start`: where a run goes on whose
  // state is in `parts` already.
  Trainer(Parts& parts, schedule::Examples micro_batch, std::vector<Observer*> observers, const std::atomic<int>& stop,
          const RunPosition& start = {});

  // Trains to the end of the plan or until stopped. A loss that is not finite ends the run as failed before it reaches
  // the weights; so does whatever goes wrong with the machine (a full disk under the log, no memory): nothing is
  // thrown, so that what was learned can be saved. Where another worker was lost the run is interrupted: it can go on.
  report::RunEnd Train();

  // The run has failed by this, too; the other workers are told.
  void Fail(const std::exception& error);

  // Evaluates what a finished run has learned, if that was not just done, and tells the observers how the run ended.
  // `footer` holds what the caller knows of that. Does not throw: an observer that fails here makes the run a failed
  // one.
  report::RunFooter Close(report::RunFooter footer = {});

  RunPosition position() const;
  // Whether model and optimizer are those of position(), and all records up to it are out: not where something failed
  // while the weights were changed or while records were written, or a worker was lost in an evaluation. Such a state
  // must not become a checkpoint.
  bool at_boundary() const { return at_boundary_; }

 private:
  void Walk();
  void Grow(int64_t workers);
  void ForgetShapes(const schedule::Setting& setting);
  void TellWorkers();
  bool Step(const schedule::Setting& setting);  // false: stopped, or failed, before the weights were touched
  void StepUnread(const schedule::Setting& setting, const at::Tensor& loss_sum);
  void TakeLossesFrom(const RunPosition& position);
  bool IsReadDue(const schedule::Setting& setting, schedule::Examples before) const;
  void CountTime();  // in position_.train_seconds: up to now
  bool Settle();     // false: one of the losses left unread is not finite, and the run has failed there
  Totals ComputeGradients(const schedule::Setting& setting, LossSum loss_sum);
  at::Tensor BackwardOf(const schedule::MicroBatch& part, schedule::Examples global_batch);
  at::Tensor ForwardAndBackward(const data::Batch& batch, const schedule::GhostSizes& ghosts,
                                const at::Tensor& scale) const;
  void RequestExamples();
  int StopSignal() const;
  WorkerNumbers NumbersSoFar() const;
  std::vector<report::WorkerRecord> WorkersSinceLastRecord();
  bool TakeBack();
  void FailAt(const schedule::Setting& setting, double loss);  // which is not finite; position_ is before that update
  bool IsMomentumCorner(const schedule::Setting& setting) const;
  void ApplyMomentumCorner(const schedule::Setting& setting);
  bool IsRecordDue(const schedule::Setting& setting) const;
  void Record(const schedule::Setting& setting, RunPosition& position, double loader_waited_seconds);
  void EvaluateNow();

  Parts& parts_;
  schedule::Examples micro_batch_;
  schedule::Examples evaluate_every_;
  std::vector<Observer*> observers_;
  const std::atomic<int>& stop_;

  std::unique_ptr<UpdateSum> sum_;
  data::Loader loader_;
  schedule::Plan::Cursor ahead_;                   // the update whose examples are requested next
  std::vector<schedule::MicroBatch> ahead_parts_;  // its micro-batches
  size_t ahead_next_ = 0;                          // of them, the first that is not requested yet
  size_t requested_ = 0;                           // micro-batches requested and not taken

  // Where the run stands; its seconds are kept up to date by position().
  RunPosition position_;
  int64_t micro_batches_ = 0;  // computed here since the last ForgetShapes
  bool at_boundary_ = true;
  report::RunEnd end_ = report::RunEnd::kFinished;
  std::string reason_;
  int stop_signal_ = 0;

  RunningStatistics statistics_;
  std::optional<RecordedMicroBatches> recorded_;  // with run.gpu_graphs

  // An update that was computed, and whose loss is still on the device.
  struct Unread {
    schedule::Setting setting;
    at::Tensor loss_sum;
    RunPosition before;
    double loader_waited_seconds;  // so far
  };
  std::vector<Unread> unread_;
  size_t most_unread_ = 1;  // that take about half a second
  at::Tensor failed_;       // on the device, 1 as soon as a loss is not finite; undefined where losses are read at once

  std::vector<WorkerNumbers> workers_;  // at the last update
  std::vector<WorkerNumbers> workers_at_record_;
  schedule::Examples examples_computed_;  // by this worker
  double group_wait_outside_;             // waited for other workers, but not in an update
  double start_seconds_;                  // of position_.train_seconds, what was before this process

  std::chrono::steady_clock::time_point created_;
  double seconds_at_record_ = 0;
  schedule::Examples examples_at_record_;
  std::chrono::steady_clock::time_point uncounted_since_;  // train_seconds are up to here
  std::chrono::steady_clock::time_point unread_since_;     // when the first update was queued that is unread
};

}  // namespace crescendo::train
