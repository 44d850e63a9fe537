#include "crescendo/schedule/plan.h"

#include <algorithm>

#include "crescendo/base/error.h"
#include "crescendo/schedule/planner.h"

namespace crescendo::schedule {
namespace {

int64_t CeilDivide(Examples a, Examples b) { return (a.value() + b.value() - 1) / b.value(); }

// Where the reference's noise has first fallen to half of its largest: exact for steps, by bisection inside a smooth
// piece.
Examples FirstDrop(const PlanRequest& request) {
  const LearningRate& rate = request.reference.learning_rate;
  const auto fallen = [&](Examples p) { return rate.AnnealedAt(p) <= rate.peak() / 2; };
  Examples begin{0};
  while (begin < rate.length()) {
    const Examples end = rate.PieceEnd(begin);
    if (fallen(begin)) return begin;
    Examples low = begin;               // not fallen
    Examples high = end - Examples{1};  // the last position of the piece
    if (fallen(high)) {
      while (high - low > Examples{1}) {
        const Examples middle = low + Examples{(high - low).value() / 2};
        (fallen(middle) ? high : low) = middle;
      }
      return high;
    }
    begin = end;
  }
  return rate.length();
}

}  // namespace

UpdateGrid::UpdateGrid(Examples begin, Examples global_batch, Examples train_examples, EpochTail tail)
    : begin_(begin), batch_(global_batch), epoch_(train_examples), tail_(tail) {
  const bool drop = tail == EpochTail::kDrop;
  updates_in_rest_ = drop ? EpochRest() / batch_ : CeilDivide(EpochRest(), batch_);
  updates_in_epoch_ = drop ? epoch_ / batch_ : CeilDivide(epoch_, batch_);
}

Examples UpdateGrid::EpochRest() const { return epoch_ - begin_ % epoch_; }

Examples UpdateGrid::Begin(int64_t k) const {
  if (tail_ == EpochTail::kCarry || k < updates_in_rest_) return begin_ + batch_ * k;
  const int64_t later = k - updates_in_rest_;
  return begin_ + EpochRest() + epoch_ * (later / updates_in_epoch_) + batch_ * (later % updates_in_epoch_);
}

Examples UpdateGrid::Size(int64_t k) const {
  if (tail_ != EpochTail::kShort) return batch_;
  const Examples begin = Begin(k);
  return std::min(batch_, epoch_ - begin % epoch_);
}

int64_t UpdateGrid::CountBeginningBefore(Examples limit) const {
  if (limit <= begin_) return 0;
  if (tail_ == EpochTail::kCarry) return CeilDivide(limit - begin_, batch_);
  const Examples rest = EpochRest();
  if (limit <= begin_ + rest) return std::min(updates_in_rest_, CeilDivide(limit - begin_, batch_));
  const Examples later = limit - begin_ - rest;
  return updates_in_rest_ + later / epoch_ * updates_in_epoch_ +
         std::min(updates_in_epoch_, CeilDivide(later % epoch_, batch_));
}

Plan::Plan(PlanRequest request, std::vector<Phase> phases, Updates reference_updates)
    : request_(std::move(request)), phases_(std::move(phases)), reference_updates_(reference_updates) {
  epochs_before_first_drop_ =
      static_cast<double>(FirstDrop(request_).value()) / static_cast<double>(request_.train_examples.value());
}

Examples Plan::largest_batch() const {
  const auto largest = std::max_element(phases_.begin(), phases_.end(),
                                        [](const Phase& a, const Phase& b) { return a.global_batch < b.global_batch; });
  return largest->global_batch;
}

Setting Plan::At(Updates update) const {
  CRESCENDO_ASSERT(update >= Updates{0} && update < total_updates(), "an update of the plan");
  const auto after = std::upper_bound(phases_.begin(), phases_.end(), update,
                                      [](Updates u, const Phase& phase) { return u < phase.begin_update; });
  return SettingIn(static_cast<size_t>(after - phases_.begin()) - 1, update);
}

bool Plan::IsAtAnEndOfItsPhase(const Setting& setting) const {
  const Phase& phase = phases_[setting.phase];
  return setting.update == phase.begin_update || setting.update + Updates{1} == phase.begin_update + phase.updates;
}

Setting Plan::AtExample(Examples position) const {
  CRESCENDO_ASSERT(position >= Examples{0} && position < total_examples(), "a position in the plan");
  auto after = std::upper_bound(phases_.begin(), phases_.end(), position,
                                [](Examples p, const Phase& phase) { return p < phase.begin_example; });
  if (after == phases_.begin()) ++after;  // examples left out before the first update of the run
  const auto phase = std::prev(after);
  const UpdateGrid grid(phase->begin_example, phase->global_batch, request_.train_examples, request_.epoch_tail);
  const int64_t k =
      std::clamp<int64_t>(grid.CountBeginningBefore(position + Examples{1}) - 1, 0, phase->updates.value() - 1);
  return SettingIn(static_cast<size_t>(phase - phases_.begin()), phase->begin_update + Updates{k});
}

Setting Plan::SettingIn(size_t phase, Updates update) const {
  const Phase& of = phases_[phase];
  const PlanRequest& r = request_;
  const UpdateGrid grid(of.begin_example, of.global_batch, r.train_examples, r.epoch_tail);
  const int64_t k = (update - of.begin_update).value();
  Setting setting{};
  setting.update = update;
  setting.end = update + Updates{1} == of.begin_update + of.updates ? of.end_example : grid.Begin(k + 1);
  setting.momentum = of.momentum;
  setting.phase = phase;
  const Examples begin = grid.Begin(k);
  UseFor(setting, begin, std::min(grid.Size(k), of.end_example - begin));
  return setting;
}

void Plan::UseFor(Setting& setting, Examples begin, Examples global_batch) const {
  const PlanRequest& r = request_;
  setting.begin = begin;
  setting.global_batch = global_batch;
  setting.learning_rate = LearningRateOf(r, begin, global_batch);
  const NoiseLaw exact{r.law.rule, NoiseForm::kExact};
  setting.noise_scale = NoiseScale(r.law, setting.learning_rate, r.train_examples, global_batch, setting.momentum);
  setting.noise_scale_exact =
      NoiseScale(exact, setting.learning_rate, r.train_examples, global_batch, setting.momentum);
  setting.reference_noise_scale = ReferenceNoiseScale(r, begin);
  setting.reference_learning_rate = r.reference.learning_rate.At(begin);
}

Plan::Cursor::Cursor(const Plan& plan, Updates from) : plan_(&plan), update_(from) {
  if (AtEnd()) return;
  setting_ = plan.At(from);
  phase_ = setting_.phase;
}

Plan::Cursor::Cursor(const Plan& plan, Examples from) : Cursor(plan, plan.total_updates()) {
  if (from >= plan.total_examples()) return;
  setting_ = plan.AtExample(from);
  update_ = setting_.update;
  phase_ = setting_.phase;
  const Examples batch_end = setting_.begin + setting_.global_batch;
  if (from >= batch_end) {  // among the examples that are left out behind it
    Advance();
  } else if (from > setting_.begin) {
    plan.UseFor(setting_, from, batch_end - from);
  }
}

void Plan::Cursor::Advance() {
  update_ += Updates{1};
  if (AtEnd()) return;
  const Phase& phase = plan_->phases_[phase_];
  if (update_ >= phase.begin_update + phase.updates) ++phase_;
  setting_ = plan_->SettingIn(phase_, update_);
}

}  // namespace crescendo::schedule
