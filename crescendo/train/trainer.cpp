#include "crescendo/train/trainer.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <cmath>

#include "crescendo/device/autocast.h"
#include "crescendo/nn/loss.h"
#include "crescendo/train/evaluate.h"

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

std::vector<MicroBatch> MicroBatchesOf(const Parts& parts, const Setting& setting, Examples micro_batch) {
  return schedule::SplitIntoMicroBatches(setting.global_batch, Examples{parts.options.model.ghost_batch}, micro_batch);
}

}  // namespace

Trainer::Trainer(Parts& parts, Examples micro_batch, std::vector<Observer*> observers, const std::atomic<int>& stop)
    : parts_(parts),
      micro_batch_(micro_batch),
      evaluate_every_(parts.options.run.evaluate_every.Resolve(parts.plan.train_examples().value())),
      observers_(std::move(observers)),
      stop_(stop),
      loader_(parts.data.train, parts.options.data, static_cast<uint64_t>(parts.options.run.seed)),
      ahead_(parts.plan),
      created_(steady_clock::now()) {}

report::RunEnd Trainer::Train() {
  for (schedule::Plan::Cursor cursor(parts_.plan); !cursor.AtEnd(); cursor.Advance()) {
    const Setting& setting = cursor.setting();
    const auto begin = steady_clock::now();
    if (!Step(setting)) return end_;
    seconds_ += SecondsSince(begin);
    const bool evaluation_due = setting.end / evaluate_every_ > examples_ / evaluate_every_;
    updates_ += Updates{1};
    examples_ = setting.end;
    Record(setting);
    if (evaluation_due) EvaluateNow();
  }
  return end_;
}

// One update, in the order things happen.
bool Trainer::Step(const Setting& setting) {
  ApplyMomentumCorner(setting);

  at::Tensor loss_sum = at::zeros({}, at::TensorOptions(parts_.device));
  for (const MicroBatch& part : MicroBatchesOf(parts_, setting, micro_batch_)) {
    if (stop_ != 0) {
      end_ = report::RunEnd::kInterrupted;
      reason_ = fmt::format("stopped by signal {}", stop_.load());
      return false;
    }
    loss_sum += BackwardOf(part, setting.global_batch);
  }

  const double loss = loss_sum.item<double>() / static_cast<double>(setting.global_batch.value());
  if (!std::isfinite(loss)) {
    end_ = report::RunEnd::kFailed;
    reason_ = fmt::format(
        "the loss is {} at update {} (example {}, phase {} of {}: batch {}, learning rate {:.6g}); the last good loss "
        "was {:.6g}, at "
        "update {}; the weights are those before the update",
        loss, setting.update.value(), setting.begin.value(), setting.phase + 1, parts_.plan.phases().size(),
        setting.global_batch.value(), setting.learning_rate, loss_, updates_.value() - 1);
    return false;
  }
  loss_ = loss;

  parts_.optimizer->Step({setting.learning_rate, setting.momentum});
  parts_.optimizer->ZeroGradients();
  return true;
}

// Adds this micro-batch's part of the mean gradient over the global batch; returns the sum of its losses.
at::Tensor Trainer::BackwardOf(const MicroBatch& part, Examples global_batch) {
  RequestExamples();
  const data::Batch batch = loader_.Take();
  --requested_;
  const at::Tensor inputs = batch.inputs.to(parts_.device, /*non_blocking=*/true);
  const at::Tensor labels = batch.labels.to(parts_.device, /*non_blocking=*/true);
  at::Tensor loss;
  {
    const device::Autocast autocast(parts_.device, parts_.options.run.precision);
    loss = nn::SummedCrossEntropy(parts_.model->Forward(inputs, part.ghosts), labels);
  }
  loss.div(static_cast<double>(global_batch.value())).backward();
  return loss.detach();
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

void Trainer::ApplyMomentumCorner(const Setting& setting) {
  const auto& phases = parts_.plan.phases();
  const bool changes = updates_ > Updates{0} && (setting.momentum != momentum_ ||
                                                 phases[setting.phase].global_batch != phases[phase_].global_batch);
  if (changes && parts_.options.schedule.momentum_buffer == schedule::MomentumBuffer::kRescale) {
    parts_.optimizer->ScaleMomentum((1 - momentum_) / (1 - setting.momentum));
  }
  if (changes && parts_.options.schedule.momentum_buffer == schedule::MomentumBuffer::kReset) {
    parts_.optimizer->ScaleMomentum(0);
  }
  momentum_ = setting.momentum;
  phase_ = setting.phase;
}

void Trainer::Record(const Setting& setting) {
  const bool last = examples_ >= parts_.plan.total_examples() || updates_ >= parts_.plan.total_updates();
  if (!last && setting.update.value() % parts_.options.run.log_every != 0) return;
  report::UpdateRecord record;
  record.setting = setting;
  record.epoch = static_cast<double>(examples_.value()) / static_cast<double>(parts_.plan.train_examples().value());
  record.loss = loss_;
  record.examples_per_second =
      static_cast<double>((examples_ - examples_at_record_).value()) / std::max(seconds_ - seconds_at_record_, 1e-9);
  record.seconds = seconds_;
  record.loader_wait_seconds = loader_.waited_seconds();
  examples_at_record_ = examples_;
  seconds_at_record_ = seconds_;
  for (Observer* observer : observers_) observer->OnUpdate(record);
}

void Trainer::EvaluateNow() {
  const Evaluation result = Evaluate(*parts_.model, parts_.data.test, parts_.device, parts_.options.run.precision);
  evaluation_.updates = updates_;
  evaluation_.examples = examples_;
  evaluation_.epoch =
      static_cast<double>(examples_.value()) / static_cast<double>(parts_.plan.train_examples().value());
  evaluation_.loss = result.loss;
  evaluation_.accuracy = result.accuracy;
  evaluation_.train_seconds = seconds_;
  for (Observer* observer : observers_) observer->OnEvaluation(evaluation_);
}

report::RunFooter Trainer::Close() {
  if (end_ == report::RunEnd::kFinished && evaluation_.updates != updates_) EvaluateNow();
  report::RunFooter footer;
  footer.end = end_;
  footer.reason = reason_;
  footer.updates = updates_;
  footer.examples = examples_;
  footer.final_evaluation = evaluation_;
  footer.train_seconds = seconds_;
  footer.total_seconds = SecondsSince(created_);
  for (Observer* observer : observers_) observer->OnFooter(footer);
  return footer;
}

}  // namespace crescendo::train
