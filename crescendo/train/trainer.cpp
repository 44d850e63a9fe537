#include "crescendo/train/trainer.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "crescendo/base/error.h"
#include "crescendo/device/autocast.h"
#include "crescendo/nn/loss.h"
#include "crescendo/train/evaluate.h"
#include "crescendo/train/micro_batch.h"

namespace crescendo::train {
namespace {

using schedule::Examples;
using schedule::MicroBatch;
using schedule::Setting;
using schedule::Updates;
using std::chrono::steady_clock;

double SecondsSince(steady_clock::time_point begin) {
  return std::chrono::duration<double>(steady_clock::now() - begin).count();
}

double EpochOf(const schedule::Plan& plan, Examples examples) {
  return static_cast<double>(examples.value()) / static_cast<double>(plan.train_examples().value());
}

std::vector<MicroBatch> MicroBatchesOf(const Parts& parts, const Setting& setting, Examples micro_batch) {
  return schedule::SplitIntoMicroBatches(setting.global_batch, Examples{parts.options.model.ghost_batch}, micro_batch);
}

}  // namespace

Trainer::Trainer(Parts& parts, Examples micro_batch, std::vector<Observer*> observers, const std::atomic<int>& stop,
                 const RunPosition& start)
    : parts_(parts),
      micro_batch_(micro_batch),
      evaluate_every_(parts.options.run.evaluate_every.Resolve(parts.plan.train_examples().value())),
      observers_(std::move(observers)),
      stop_(stop),
      loader_(parts.data.train, parts.options.data, static_cast<uint64_t>(parts.options.run.seed),
              {.device = parts.device, .memory_for_data = MemoryForData(parts)}),
      ahead_(parts.plan, start.examples),
      position_(start),
      created_(steady_clock::now()),
      seconds_at_record_(start.train_seconds),
      examples_at_record_(start.examples) {
  for (const nn::NamedTensor& buffer : parts_.model->buffers()) statistics_.push_back(buffer.value);
  if (parts_.options.run.reproducible) reproducible_.emplace(*parts_.model, parts_.options.model.norm_momentum);
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
  for (schedule::Plan::Cursor cursor(parts_.plan, position_.examples); !cursor.AtEnd(); cursor.Advance()) {
    const Setting& setting = cursor.setting();
    const auto begin = steady_clock::now();
    if (!Step(setting)) return;
    position_.train_seconds += SecondsSince(begin);
    const bool evaluation_due = setting.end / evaluate_every_ > position_.examples / evaluate_every_;
    position_.updates = setting.update + Updates{1};
    position_.examples = setting.end;
    Record(setting);
    if (evaluation_due) EvaluateNow();
    for (Observer* observer : observers_) observer->OnBoundary(position());
    at_boundary_ = true;
  }
}

// One update, in the order things happen.
bool Trainer::Step(const Setting& setting) {
  RememberStatistics();
  try {
    if (!ComputeGradients(setting)) {
      TakeBack();
      return false;
    }
  } catch (...) {  // no memory, an example that cannot be made
    TakeBack();
    throw;
  }
  at_boundary_ = false;
  ApplyMomentumCorner(setting);
  parts_.optimizer->Step({setting.learning_rate, setting.momentum});
  parts_.optimizer->ZeroGradients();
  return true;
}

bool Trainer::ComputeGradients(const Setting& setting) {
  if (reproducible_) {
    ghost_ = 0;
    const Examples ghost_batch{parts_.options.model.ghost_batch};
    reproducible_->Begin(static_cast<int64_t>(schedule::SplitIntoGhosts(setting.global_batch, ghost_batch).size()));
  }
  at::Tensor loss_sum = at::zeros({}, at::TensorOptions(parts_.device));
  for (const MicroBatch& part : MicroBatchesOf(parts_, setting, micro_batch_)) {
    if (stop_ != 0) {
      end_ = report::RunEnd::kInterrupted;
      reason_ = fmt::format("stopped by signal {}", stop_.load());
      return false;
    }
    if (reproducible_) {
      BackwardGhostByGhost(part, setting.global_batch);
    } else {
      loss_sum += BackwardOf(part, setting.global_batch);
    }
  }

  const double total = reproducible_ ? reproducible_->Finish() : loss_sum.item<double>();
  const double loss = total / static_cast<double>(setting.global_batch.value());
  if (!std::isfinite(loss)) {
    end_ = report::RunEnd::kFailed;
    reason_ = LossIsNotFinite(loss, setting);
    return false;
  }
  position_.loss = loss;
  return true;
}

// Adds this micro-batch's part of the mean gradient over the global batch; returns the sum of its losses.
at::Tensor Trainer::BackwardOf(const MicroBatch& part, Examples global_batch) {
  const data::Batch batch = TakeExamples();
  const at::Tensor loss = LossOf(batch.inputs, batch.labels, part.ghosts);
  loss.div(static_cast<double>(global_batch.value())).backward();
  return loss.detach();
}

// The same for run.reproducible, where the parts are added up in another way.
void Trainer::BackwardGhostByGhost(const MicroBatch& part, Examples global_batch) {
  const data::Batch batch = TakeExamples();
  int64_t begin = 0;
  for (const int64_t size : part.ghosts) {
    reproducible_->BeforeForward(ghost_++);
    const at::Tensor loss = LossOf(batch.inputs.narrow(0, begin, size), batch.labels.narrow(0, begin, size), {size});
    loss.div(static_cast<double>(global_batch.value())).backward();
    reproducible_->AfterBackward(loss);
    begin += size;
  }
}

// The sum of the losses.
at::Tensor Trainer::LossOf(const at::Tensor& inputs, const at::Tensor& labels, const schedule::GhostSizes& ghosts) {
  const device::Autocast autocast(parts_.device, parts_.options.run.precision);
  return nn::SummedCrossEntropy(parts_.model->Forward(inputs, ghosts), labels);
}

data::Batch Trainer::TakeExamples() {
  RequestExamples();
  const data::Batch batch = loader_.Take();
  --requested_;
  return {batch.inputs.to(parts_.device, /*non_blocking=*/true), batch.labels.to(parts_.device, /*non_blocking=*/true)};
}

// Keeps the loader's threads busy with the micro-batches that the plan says come next.
void Trainer::RequestExamples() {
  while (requested_ < static_cast<size_t>(parts_.options.data.prefetch) && !ahead_.AtEnd()) {
    const Setting& setting = ahead_.setting();
    if (ahead_parts_.empty()) ahead_parts_ = MicroBatchesOf(parts_, setting, micro_batch_);
    const MicroBatch& part = ahead_parts_[ahead_next_];
    loader_.Request({setting.begin + part.begin, part.size.value()});
    ++requested_;
    if (++ahead_next_ == ahead_parts_.size()) {
      ahead_parts_.clear();
      ahead_next_ = 0;
      ahead_.Advance();
    }
  }
}

void Trainer::RememberStatistics() {
  const at::NoGradGuard no_gradients;
  if (statistics_.empty()) return;
  if (statistics_before_.empty()) {
    for (const at::Tensor& tensor : statistics_) statistics_before_.push_back(at::empty_like(tensor));
  }
  at::_foreach_copy_(statistics_before_, statistics_);
}

// Forgets the update in progress.
void Trainer::TakeBack() {
  const at::NoGradGuard no_gradients;
  if (!statistics_.empty()) at::_foreach_copy_(statistics_, statistics_before_);
  parts_.optimizer->ZeroGradients();
}

std::string Trainer::LossIsNotFinite(double loss, const Setting& setting) const {
  const std::string before =
      position_.updates == Updates{0}
          ? "there was no update before"
          : fmt::format("the last good loss was {:.6g}, at update {}", position_.loss, position_.updates.value() - 1);
  return fmt::format(
      "the loss is {} at update {} (example {}, phase {} of {}: batch {}, learning rate {:.6g}, momentum {:.6g}); {}; "
      "the weights are those before the update",
      std::isnan(loss) ? "nan" : "infinite", setting.update.value(), setting.begin.value(), setting.phase + 1,
      parts_.plan.phases().size(), setting.global_batch.value(), setting.learning_rate, setting.momentum, before);
}

void Trainer::Fail(const std::exception& error) {
  const auto* of_torch = dynamic_cast<const c10::Error*>(&error);  // whose what() is a backtrace of 30 lines
  const std::string what = of_torch != nullptr ? of_torch->what_without_backtrace() : error.what();
  reason_ = reason_.empty() ? what : fmt::format("{}; then: {}", reason_, what);
  end_ = report::RunEnd::kFailed;
}

void Trainer::ApplyMomentumCorner(const Setting& setting) {
  const Examples phase_batch = parts_.plan.phases()[setting.phase].global_batch;
  const bool changes = position_.examples > Examples{0} &&
                       (setting.momentum != position_.momentum || phase_batch != position_.phase_batch);
  if (changes && parts_.options.schedule.momentum_buffer == schedule::MomentumBuffer::kRescale) {
    parts_.optimizer->ScaleMomentum((1 - position_.momentum) / (1 - setting.momentum));
  }
  if (changes && parts_.options.schedule.momentum_buffer == schedule::MomentumBuffer::kReset) {
    parts_.optimizer->ScaleMomentum(0);
  }
  position_.momentum = setting.momentum;
  position_.phase_batch = phase_batch;
}

void Trainer::Record(const Setting& setting) {
  const bool last = position_.updates >= parts_.plan.total_updates();
  if (!last && setting.update.value() % parts_.options.run.log_every != 0) return;
  const double seconds = position_.train_seconds;
  report::UpdateRecord record;
  record.setting = setting;
  record.epoch = EpochOf(parts_.plan, position_.examples);
  record.loss = position_.loss;
  record.examples_per_second = static_cast<double>((position_.examples - examples_at_record_).value()) /
                               std::max(seconds - seconds_at_record_, 1e-9);
  record.seconds = seconds;
  record.loader_wait_seconds = position().loader_wait_seconds;
  examples_at_record_ = position_.examples;
  seconds_at_record_ = seconds;
  for (Observer* observer : observers_) observer->OnUpdate(record);
}

void Trainer::EvaluateNow() {
  const Evaluation result = Evaluate(*parts_.model, parts_.data.test, parts_.device, parts_.options.run.precision);
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
