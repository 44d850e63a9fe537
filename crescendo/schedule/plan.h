// A plan: what every update of a run uses, decided before it starts.
//
//   Plan plan = MakePlan(request);                    // planner.h
//   for (Plan::Cursor cursor(plan); !cursor.AtEnd(); cursor.Advance()) Use(cursor.setting());
//   Setting setting = plan.At(Updates{1000});         // random access, O(log phases)
//
// A plan is a list of phases. In a phase the batch and the momentum are constant and the learning rate is a formula of
// the position, so a plan for any number of examples is small, and its updates are counted, not stored. A Plan is
// immutable and may be shared between threads.
#pragma once

#include <optional>
#include <vector>

#include "crescendo/schedule/corner_cases.h"
#include "crescendo/schedule/learning_rate.h"
#include "crescendo/schedule/noise_scale.h"
#include "crescendo/schedule/units.h"

namespace crescendo::schedule {

// The schedule that is known to work: a learning rate, as it is run at a fixed batch.
struct Reference {
  LearningRate learning_rate;
  Momentum momentum;
  Examples global_batch;
};

// A reference, what the run chooses for itself, and how corner cases are settled.
struct PlanRequest {
  Examples train_examples;  // N
  Reference reference;      // its learning rate's length is that of the run
  Policy policy = Policy::kGrow;
  double learning_rate;  // this run's largest; the first batch follows from it
  Momentum momentum;     // this run's
  Examples max_batch;    // at most N
  AtCap at_cap = AtCap::kHybrid;
  Rounding rounding = Rounding::kNearest;
  int64_t batch_multiple = 1;  // for Rounding::kMultiple
  double growth_factor = 2;    // for Rounding::kPower
  double hysteresis = 0;       // the batch changes where it should by at least this share
  NoiseLaw law = {};
  EpochTail epoch_tail = EpochTail::kCarry;
  Boundary boundary = Boundary::kStart;
  MomentumBuffer momentum_buffer = MomentumBuffer::kKeep;

  Examples total_examples() const { return reference.learning_rate.length(); }
};

// The updates of a phase by arithmetic: where the k-th begins and how many examples it holds.
class UpdateGrid {
 public:
  // REQUIRES 0 < global_batch <= train_examples.
  UpdateGrid(Examples begin, Examples global_batch, Examples train_examples, EpochTail tail);

  Examples Begin(int64_t k) const;  // of update k; also, for k = a count, where the next phase would begin
  Examples Size(int64_t k) const;   // examples in update k
  int64_t CountBeginningBefore(Examples limit) const;  // updates that begin before `limit`
  Examples begin() const { return begin_; }
  Examples global_batch() const { return batch_; }

 private:
  Examples EpochRest() const;  // examples from begin_ to the end of its epoch

  Examples begin_;
  Examples batch_;
  Examples epoch_;
  EpochTail tail_;
  int64_t updates_in_rest_;   // in the part of an epoch that the phase begins with
  int64_t updates_in_epoch_;  // in each whole epoch after it
};

// What one update uses.
struct Setting {
  Updates update;  // 0 for the first
  Examples begin;  // examples seen before it
  Examples end;    // the clock after it: begin + global_batch, and with EpochTail::kDrop what is left out behind it
  Examples global_batch;     // its examples: the phase's batch, or fewer where it is short
  double learning_rate = 0;  // multiplies the mean gradient over global_batch
  double momentum = 0;
  size_t phase = 0;

  double noise_scale = 0;  // in the form held constant; equals reference_noise_scale but for AtCap::kHold
  double noise_scale_exact = 0;
  double reference_noise_scale = 0;
  double reference_learning_rate = 0;
};

// A stretch of training with one batch and one momentum, inside one piece of the reference. Rates and noise are those
// of its first update; `..._end` of its last. A short last update counts as if it were full.
struct Phase {
  Examples begin_example;
  Examples end_example;
  Updates begin_update;
  Updates updates;
  Examples global_batch;
  double momentum = 0;
  double learning_rate = 0;
  double learning_rate_end = 0;
  double reference_learning_rate = 0;
  double reference_learning_rate_end = 0;
  double reference_momentum = 0;
  double noise_scale = 0;  // in the form held constant
  double noise_scale_end = 0;
  double noise_scale_small_batch = 0;
  double noise_scale_small_batch_end = 0;
  double noise_scale_exact = 0;
  double noise_scale_exact_end = 0;
  double reference_noise_scale = 0;  // in the form held constant
  double reference_noise_scale_end = 0;
  bool at_cap = false;     // the batch would be larger without its limit
  double lost_epochs = 0;  // B / (N (1 - m))
};

class Plan {
 public:
  // Walks through the updates in order, or from any of them on, in constant memory.
  class Cursor {
   public:
    explicit Cursor(const Plan& plan, Updates from = Updates{0});
    // From the update that holds the example at `from` on; at the end where there is none. Where that update begins
    // earlier, only the rest of it is done: a short update, with the noise it would have had. So a run can go over to
    // this plan at any position, and still every example is seen once.
    Cursor(const Plan& plan, Examples from);
    bool AtEnd() const { return update_ >= plan_->total_updates(); }
    const Setting& setting() const { return setting_; }  // REQUIRES !AtEnd()
    void Advance();

   private:
    const Plan* plan_;
    Updates update_;
    size_t phase_ = 0;
    Setting setting_{};
  };

  // Made by MakePlan.
  Plan(PlanRequest request, std::vector<Phase> phases, Updates reference_updates);

  const PlanRequest& request() const { return request_; }
  const std::vector<Phase>& phases() const { return phases_; }
  Examples train_examples() const { return request_.train_examples; }
  Examples total_examples() const { return request_.total_examples(); }
  Updates total_updates() const { return phases_.back().begin_update + phases_.back().updates; }
  Updates reference_updates() const { return reference_updates_; }  // of the reference at its own batch
  Examples largest_batch() const;

  // REQUIRES 0 <= update < total_updates().
  Setting At(Updates update) const;
  // Whether it is the first or the last update of its phase: what a log needs, beside samples, to know every change.
  bool IsAtAnEndOfItsPhase(const Setting& setting) const;
  // The setting of the update that holds this example. REQUIRES 0 <= position < total_examples().
  Setting AtExample(Examples position) const;

  // Epochs before the reference's noise has first fallen to half: what lost_epochs is to be small against.
  double epochs_before_first_drop() const { return epochs_before_first_drop_; }
  // Whether the phase loses more than a twentieth of that. Without momentum there is no buffer to fill.
  bool LosesTooMuch(const Phase& phase) const {
    return phase.momentum > 0 && phase.lost_epochs > 0.05 * epochs_before_first_drop_;
  }

 private:
  Setting SettingIn(size_t phase, Updates update) const;
  void UseFor(Setting& setting, Examples begin, Examples global_batch) const;  // what follows from these two

  PlanRequest request_;
  std::vector<Phase> phases_;
  Updates reference_updates_;
  double epochs_before_first_drop_;
};

}  // namespace crescendo::schedule
