#include "crescendo/train/trainer.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "crescendo/base/error.h"
#include "crescendo/device/autocast.h"
#include "crescendo/device/memory.h"
#include "crescendo/device/profile_scope.h"
#include "crescendo/device/work_graph.h"
#include "crescendo/nn/backward.h"
#include "crescendo/nn/loss.h"
#include "crescendo/train/checkpointer.h"
#include "crescendo/train/evaluate.h"
#include "crescendo/train/growth.h"
#include "crescendo/train/micro_batch.h"

namespace crescendo::train {
namespace {

using device::ProfileScope;
using schedule::Examples;
using schedule::MicroBatch;
using schedule::Setting;
using schedule::Updates;
using std::chrono::steady_clock;

// Of updates whose losses are left on the device: their memory, what is computed in vain after one that is not finite,
// and how late a log is.
constexpr size_t kMostUnread = 256;
constexpr double kMostUnreadSeconds = 0.5;

double SecondsSince(steady_clock::time_point begin) {
  return std::chrono::duration<double>(steady_clock::now() - begin).count();
}

double EpochOf(const schedule::Plan& plan, Examples examples) {
  return static_cast<double>(examples.value()) / static_cast<double>(plan.train_examples().value());
}

}  // namespace

Trainer::Trainer(Parts& parts, Examples micro_batch, std::vector<Observer*> observers, const std::atomic<int>& stop,
                 const RunPosition& start)
    : parts_(parts),
      micro_batch_(parts.options.run.reproducible ? Examples{1} : micro_batch),  // one ghost, the least that there is
      evaluate_every_(parts.options.run.evaluate_every.Resolve(ScaleOf(parts))),
      observers_(std::move(observers)),
      stop_(stop),
      sum_(MakeUpdateSum(*parts.group, *parts.model, parts.options)),
      loader_(parts.data.train, parts.options.data, static_cast<uint64_t>(parts.options.run.seed),
              {.device = parts.device, .memory_for_data = MemoryForData(parts)}),
      ahead_(parts.plan, start.examples),
      position_(start),
      statistics_(*parts.model),
      group_wait_outside_(parts.group->waited_seconds()),
      start_seconds_(start.train_seconds),
      created_(steady_clock::now()),
      seconds_at_record_(start.train_seconds),
      examples_at_record_(start.examples),
      uncounted_since_(created_),
      unread_since_(created_) {
  if (!UsesGraphs(parts_)) return;
  recorded_.emplace(parts_.device, *parts_.model,
                    [this](const data::Batch& batch, const schedule::GhostSizes& ghosts, const at::Tensor& scale) {
                      return ForwardAndBackward(batch, ghosts, scale);
                    });
  if (parts_.optimizer->CanSkip()) failed_ = at::zeros({}, at::TensorOptions(at::kFloat).device(parts_.device));
}

report::RunEnd Trainer::Train() {
  try {
    Walk();
  } catch (const std::exception& error) {
    Fail(error);
  }
  return end_;
}

void Trainer::Walk() {
  std::optional<device::OwnStream> stream;
  if (recorded_) stream.emplace(parts_.device);
  if (parts_.group->size() < parts_.all_workers->size()) TellWorkers();
  for (schedule::Plan::Cursor cursor(parts_.plan, position_.examples); !cursor.AtEnd(); cursor.Advance()) {
    const Setting& setting = cursor.setting();
    Grow(parts_.workers_of_phases[setting.phase]);
    ForgetShapes(setting);
    uncounted_since_ = steady_clock::now();
    if (!Step(setting)) return;
    const Examples before = std::exchange(position_.examples, setting.end);
    position_.updates = setting.update + Updates{1};
    const bool evaluation_due = Passes(evaluate_every_, before, setting.end);
    if (unread_.empty()) {
      CountTime();
      if (IsRecordDue(setting)) Record(setting, position_, loader_.waited_seconds());
    } else if (evaluation_due || IsReadDue(setting, before)) {
      if (!Settle()) return;
    } else {
      CountTime();
      continue;
    }
    if (evaluation_due) EvaluateNow();
    for (Observer* observer : observers_) observer->OnBoundary(position());
    at_boundary_ = true;
  }
}

void Trainer::CountTime() {
  const auto now = steady_clock::now();
  position_.train_seconds += std::chrono::duration<double>(now - std::exchange(uncounted_since_, now)).count();
}

// Calls the workers that the batch now has work for.
void Trainer::Grow(int64_t workers) {
  if (workers == parts_.group->size()) return;
  const double group_wait = parts_.group->waited_seconds();
  sum_.reset();  // before there is another: both hang on the parameters
  (void)FormGroup(parts_, workers, position_);
  sum_ = MakeUpdateSum(*parts_.group, *parts_.model, parts_.options);
  group_wait_outside_ += parts_.group->waited_seconds() - group_wait;
  TellWorkers();
}

// Another batch has ghosts of other sizes, and the memory kept for the old ones would stay beside that for the new. To
// take it anew costs part of a micro-batch, so not where the batch changes all the time.
void Trainer::ForgetShapes(const Setting& setting) {
  constexpr int64_t kLeast = 10;
  const bool changes = parts_.plan.phases()[setting.phase].global_batch != position_.phase_batch;
  if (!changes || micro_batches_ < kLeast) return;
  micro_batches_ = 0;
  device::ReleaseKeptMemory(parts_.device);
}

void Trainer::TellWorkers() {
  for (Observer* observer : observers_) observer->OnWorkers(parts_.group->size(), parts_.all_workers->size());
}

// One update, in the order things happen.
bool Trainer::Step(const Setting& setting) {
  const ProfileScope update_scope("update");
  // A momentum buffer must not be scaled for an update that is then left out.
  const bool leave = failed_.defined() && !IsMomentumCorner(setting);
  CRESCENDO_ASSERT(leave || unread_.empty(), "a corner is at the begin of a phase, and the end of one is read");
  statistics_.Remember();
  Totals totals;
  try {
    totals = ComputeGradients(setting, leave ? LossSum::kLeave : LossSum::kRead);
  } catch (const std::exception& error) {  // no memory, an example that cannot be made, a worker lost
    try {
      (void)TakeBack();
    } catch (const std::exception&) {  // a full disk, where records were waiting
      at_boundary_ = false;
      Fail(error);
      throw;
    }
    throw;
  }
  if (totals.stop_signal != 0) {
    if (!TakeBack()) return false;
    end_ = report::RunEnd::kInterrupted;
    stop_signal_ = totals.stop_signal;
    reason_ = fmt::format("stopped by signal {}", stop_signal_);
    return false;
  }
  if (leave) {
    StepUnread(setting, totals.unread_loss_sum);
    return true;
  }
  const double loss = totals.loss_sum / static_cast<double>(setting.global_batch.value());
  if (!std::isfinite(loss)) {
    FailAt(setting, loss);
    (void)TakeBack();
    return false;
  }
  position_.loss = loss;
  position_.unlogged_loss_sum += totals.loss_sum;
  position_.unlogged_examples += setting.global_batch;

  at_boundary_ = false;
  const ProfileScope optimizer_scope("optimizer");
  ApplyMomentumCorner(setting);
  parts_.optimizer->Step({setting.learning_rate, setting.momentum});
  parts_.optimizer->ZeroGradients();
  return true;
}

// The rest of a step whose loss nobody has looked at: the device leaves it out where that, or one before, is not
// finite.
void Trainer::StepUnread(const Setting& setting, const at::Tensor& loss_sum) {
  const at::NoGradGuard no_gradients;
  failed_ = at::maximum(failed_, loss_sum.isfinite().logical_not().to(at::kFloat));
  statistics_.TakeBackWhere(failed_);

  at_boundary_ = false;
  const ProfileScope optimizer_scope("optimizer");
  parts_.optimizer->Step({setting.learning_rate, setting.momentum, failed_});
  parts_.optimizer->ZeroGradients();
  if (unread_.empty()) unread_since_ = uncounted_since_;
  unread_.push_back({setting, loss_sum, position_, loader_.waited_seconds()});
  position_.momentum = setting.momentum;
  position_.phase_batch = parts_.plan.phases()[setting.phase].global_batch;
}

// Where all of a state has to be known, and often enough for who watches.
bool Trainer::IsReadDue(const Setting& setting, Examples before) const {
  return unread_.size() >= most_unread_ || SecondsSince(unread_since_) > kMostUnreadSeconds ||
         parts_.plan.IsAtAnEndOfItsPhase(setting) || PassesCheckpoint(parts_, before, setting.end);
}

void Trainer::TakeLossesFrom(const RunPosition& position) {
  position_.loss = position.loss;
  position_.unlogged_loss_sum = position.unlogged_loss_sum;
  position_.unlogged_examples = position.unlogged_examples;
}

// Reads the losses that were left on the device, and writes the records that waited for them. How long one update took
// is not known where nobody waits: the time of all is theirs by their examples.
bool Trainer::Settle() {
  if (unread_.empty()) return true;
  const std::vector<Unread> updates = std::exchange(unread_, {});
  std::vector<at::Tensor> sums;
  for (const Unread& update : updates) sums.push_back(update.loss_sum);
  const at::Tensor on_host = at::stack(sums).to(at::kCPU, at::kDouble);  // waits for the device
  CountTime();
  // The host queues updates faster than the device computes them: their number keeps the time.
  const double seconds_per_update = SecondsSince(unread_since_) / static_cast<double>(updates.size());
  most_unread_ = static_cast<size_t>(
      std::clamp(kMostUnreadSeconds / std::max(seconds_per_update, 1e-9), 1.0, static_cast<double>(kMostUnread)));
  const auto* sum = on_host.const_data_ptr<double>();
  RunPosition known = updates.front().before;
  const Examples begin = known.examples;
  const double begin_seconds = known.train_seconds;
  const double seconds_per_example =
      (position_.train_seconds - begin_seconds) / static_cast<double>((updates.back().setting.end - begin).value());
  for (const Unread& update : updates) {
    const double loss = *sum / static_cast<double>(update.setting.global_batch.value());
    if (!std::isfinite(loss)) {
      position_ = update.before;
      position_.train_seconds = known.train_seconds;
      TakeLossesFrom(known);
      at_boundary_ = true;
      FailAt(update.setting, loss);
      return false;
    }
    known.updates = update.setting.update + Updates{1};
    known.examples = update.setting.end;
    known.train_seconds = begin_seconds + seconds_per_example * static_cast<double>((known.examples - begin).value());
    known.loss = loss;
    known.unlogged_loss_sum += *sum++;
    known.unlogged_examples += update.setting.global_batch;
    if (IsRecordDue(update.setting)) Record(update.setting, known, update.loader_waited_seconds);
  }
  TakeLossesFrom(known);
  return true;
}

// This worker's share of an update, and the sum over all workers.
Totals Trainer::ComputeGradients(const Setting& setting, LossSum loss_sum) {
  const schedule::RankShare share = ShareOf(parts_, setting);
  const std::vector<MicroBatch> micro_batches = schedule::SplitIntoMicroBatches(share, micro_batch_);
  WorkerNumbers numbers = NumbersSoFar();
  numbers.stop_signal = StopSignal();  // also of a worker that has no share
  sum_->Begin(share);
  std::optional<device::KeptCasts> kept_casts;
  if (recorded_) {
    recorded_->BeginUpdate();
  } else {
    kept_casts.emplace();  // a graph has the copies of the weights that it was recorded with, and makes them anew
  }
  for (const MicroBatch& part : micro_batches) {
    numbers.stop_signal = StopSignal();
    if (numbers.stop_signal != 0) break;
    parts_.group->RequireAllWell();
    ++micro_batches_;
    sum_->BeforeForward(&part == &micro_batches.back());
    const at::Tensor loss = BackwardOf(part, setting.global_batch);
    const ProfileScope scope("reduce");
    sum_->AfterBackward(loss);
  }
  const ProfileScope scope("reduce");
  Totals totals = sum_->Finish(numbers, loss_sum);
  workers_ = totals.workers;
  examples_computed_ += share.size;
  return totals;
}

// Adds this micro-batch's part of the mean gradient over the global batch; returns the sum of its losses.
at::Tensor Trainer::BackwardOf(const MicroBatch& part, Examples global_batch) {
  data::Batch batch;
  {
    const ProfileScope scope("data");
    RequestExamples();
    batch = loader_.Take();
    --requested_;
    batch.inputs = batch.inputs.to(parts_.device, /*non_blocking=*/true);
    batch.labels = batch.labels.to(parts_.device, /*non_blocking=*/true);
  }
  // The one division by the global batch: of the gradient that backward begins with.
  const double scale = 1 / static_cast<double>(global_batch.value());
  if (recorded_) return recorded_->Run(batch, part.ghosts, scale);
  return ForwardAndBackward(batch, part.ghosts,
                            at::full({}, scale, at::TensorOptions(at::kFloat).device(parts_.device)));
}

at::Tensor Trainer::ForwardAndBackward(const data::Batch& batch, const schedule::GhostSizes& ghosts,
                                       const at::Tensor& scale) const {
  at::Tensor loss;
  {
    const ProfileScope scope("forward");
    const device::Autocast autocast(parts_.device, parts_.options.run.precision);
    loss = nn::SummedCrossEntropy(parts_.model->Forward(batch.inputs, ghosts), batch.labels);
  }
  const ProfileScope scope("backward");
  nn::Backward(loss, scale);
  return loss.detach();
}

// Keeps the loader's threads busy with the micro-batches that the plan says come next; several at a time, since waking
// a thread takes as long as making a small one.
void Trainer::RequestExamples() {
  if (requested_ > static_cast<size_t>(parts_.options.data.prefetch) / 2) return;
  while (requested_ < static_cast<size_t>(parts_.options.data.prefetch) && !ahead_.AtEnd()) {
    const Setting& setting = ahead_.setting();
    if (ahead_parts_.empty()) ahead_parts_ = schedule::SplitIntoMicroBatches(ShareOf(parts_, setting), micro_batch_);
    if (ahead_next_ < ahead_parts_.size()) {  // else this worker has no share in the update
      const MicroBatch& part = ahead_parts_[ahead_next_];
      loader_.Request({setting.begin + part.begin, part.size.value()});
      ++requested_;
      ++ahead_next_;
    }
    if (ahead_next_ == ahead_parts_.size()) {
      ahead_parts_.clear();
      ahead_next_ = 0;
      ahead_.Advance();
    }
  }
}

int Trainer::StopSignal() const { return stop_ != 0 ? stop_.load() : parts_.all_workers->signal_of_waiting(); }

WorkerNumbers Trainer::NumbersSoFar() const {
  WorkerNumbers numbers;
  numbers.examples = static_cast<double>(examples_computed_.value());
  numbers.seconds = position_.train_seconds - start_seconds_;
  numbers.loader_wait_seconds = loader_.waited_seconds();
  numbers.group_wait_seconds = parts_.group->waited_seconds() - group_wait_outside_;
  return numbers;
}

// Nothing for a run of one worker: its record says it all.
std::vector<report::WorkerRecord> Trainer::WorkersSinceLastRecord() {
  std::vector<report::WorkerRecord> records;
  workers_at_record_.resize(workers_.size());  // those that have come since have done nothing before
  for (size_t rank = 0; rank < workers_.size() && workers_.size() > 1; ++rank) {
    const WorkerNumbers& now = workers_[rank];
    const WorkerNumbers& before = workers_at_record_[rank];
    const double busy = (now.seconds - now.loader_wait_seconds - now.group_wait_seconds) -
                        (before.seconds - before.loader_wait_seconds - before.group_wait_seconds);
    records.push_back({.examples_per_second = busy > 0 ? (now.examples - before.examples) / busy : 0,
                       .loader_wait_seconds = now.loader_wait_seconds,
                       .group_wait_seconds = now.group_wait_seconds});
  }
  workers_at_record_ = workers_;
  return records;
}

// Forgets the update in progress. False: one of those before it, whose losses had not been read, has failed.
bool Trainer::TakeBack() {
  statistics_.TakeBack();
  parts_.optimizer->ZeroGradients();
  const bool all_well = Settle();
  at_boundary_ = true;
  return all_well;
}

void Trainer::FailAt(const Setting& setting, double loss) {
  end_ = report::RunEnd::kFailed;
  const std::string before =
      position_.updates == Updates{0}
          ? "there was no update before"
          : fmt::format("the last good loss was {:.6g}, at update {}", position_.loss, position_.updates.value());
  reason_ = fmt::format(
      "the loss is {} at update {} (example {}, phase {} of {}: batch {}, learning rate {:.6g}, momentum {:.6g}); {}; "
      "the weights are those before the update",
      std::isnan(loss) ? "nan" : "infinite", setting.update.value() + 1, setting.begin.value(), setting.phase + 1,
      parts_.plan.phases().size(), setting.global_batch.value(), setting.learning_rate, setting.momentum, before);
}

void Trainer::Fail(const std::exception& error) {
  const auto* of_torch = dynamic_cast<const c10::Error*>(&error);  // whose what() is a backtrace of 30 lines
  const std::string what = of_torch != nullptr ? of_torch->what_without_backtrace() : error.what();
  reason_ = reason_.empty() ? what : fmt::format("{}; then: {}", reason_, what);
  const bool of_another_worker = dynamic_cast<const distributed::WorkerLost*>(&error) != nullptr;
  end_ = of_another_worker ? report::RunEnd::kInterrupted : report::RunEnd::kFailed;
  if (!of_another_worker) parts_.group->Abandon(what);
}

bool Trainer::IsMomentumCorner(const Setting& setting) const {
  return position_.examples > Examples{0} &&
         (setting.momentum != position_.momentum ||
          parts_.plan.phases()[setting.phase].global_batch != position_.phase_batch);
}

void Trainer::ApplyMomentumCorner(const Setting& setting) {
  const bool changes = IsMomentumCorner(setting);
  if (changes && parts_.options.schedule.momentum_buffer == schedule::MomentumBuffer::kRescale) {
    parts_.optimizer->ScaleMomentum((1 - position_.momentum) / (1 - setting.momentum));
  }
  if (changes && parts_.options.schedule.momentum_buffer == schedule::MomentumBuffer::kReset) {
    parts_.optimizer->ScaleMomentum(0);
  }
  position_.momentum = setting.momentum;
  position_.phase_batch = parts_.plan.phases()[setting.phase].global_batch;
}

bool Trainer::IsRecordDue(const Setting& setting) const {
  return setting.update.value() % parts_.options.run.log_every == 0 || parts_.plan.IsAtAnEndOfItsPhase(setting);
}

// `position`: behind the update, which may lie before position_. `loader_waited_seconds`: by then, in this process.
void Trainer::Record(const Setting& setting, RunPosition& position, double loader_waited_seconds) {
  report::UpdateRecord record;
  record.setting = setting;
  record.epoch = EpochOf(parts_.plan, position.examples);
  record.loss = position.unlogged_loss_sum / static_cast<double>(position.unlogged_examples.value());
  position.unlogged_loss_sum = 0;
  position.unlogged_examples = Examples{0};
  record.examples_per_second = static_cast<double>((position.examples - examples_at_record_).value()) /
                               std::max(position.train_seconds - seconds_at_record_, 1e-9);
  record.seconds = position.train_seconds;
  record.loader_wait_seconds = position.loader_wait_seconds + loader_waited_seconds;
  record.workers = WorkersSinceLastRecord();
  examples_at_record_ = position.examples;
  seconds_at_record_ = position.train_seconds;
  for (Observer* observer : observers_) observer->OnUpdate(record);
}

void Trainer::EvaluateNow() {
  const double group_wait = parts_.group->waited_seconds();
  const Evaluation result =
      Evaluate(*parts_.model, parts_.data.test, parts_.device, parts_.options.run.precision, *parts_.group);
  group_wait_outside_ += parts_.group->waited_seconds() - group_wait;
  report::EvaluationRecord& record = position_.evaluation;
  record.updates = position_.updates;
  record.examples = position_.examples;
  record.epoch = EpochOf(parts_.plan, position_.examples);
  record.loss = result.loss;
  record.accuracy = result.accuracy;
  record.train_seconds = position_.train_seconds;
  position_.best_accuracy = std::max(position_.best_accuracy, result.accuracy);
  for (Observer* observer : observers_) observer->OnEvaluation(record);
}

RunPosition Trainer::position() const {
  RunPosition position = position_;
  position.loader_wait_seconds += loader_.waited_seconds();
  position.total_seconds += SecondsSince(created_);
  return position;
}

report::RunFooter Trainer::Close(report::RunFooter footer) {
  try {
    if (end_ == report::RunEnd::kFinished && position_.evaluation.updates != position_.updates) EvaluateNow();
    if (end_ == report::RunEnd::kFinished && !std::isfinite(position_.evaluation.loss)) {
      throw RunError("the loss on the test set is not finite at the end of the run");
    }
  } catch (const std::exception& error) {
    Fail(error);
  }
  footer.stop_signal = stop_signal_;
  footer.updates = position_.updates;
  footer.examples = position_.examples;
  footer.final_evaluation = position_.evaluation;
  footer.train_seconds = position_.train_seconds;
  footer.total_seconds = position().total_seconds;
  for (Observer* observer : observers_) {
    footer.end = end_;
    footer.reason = reason_;
    try {
      observer->OnFooter(footer);
    } catch (const std::exception& error) {
      if (end_ != report::RunEnd::kFailed) Fail(error);  // a full disk has been told already
    }
  }
  footer.end = end_;
  footer.reason = reason_;
  return footer;
}

}  // namespace crescendo::train
