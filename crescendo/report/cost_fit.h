// What an update costs for itself and for each of its examples, fitted to what training took: seconds = a examples +
// b updates, by least squares in which a stretch weighs 1 / its seconds.
#pragma once

namespace crescendo::report {

class CostFit {
 public:
  // A stretch of training. One that took no time or made no update tells nothing.
  void Measured(double examples, double updates, double seconds);

  // What was measured so far weighs so many times what it did.
  void Weigh(double times);

  bool empty() const { return examples_seconds_ == 0; }

  // Whether updates had batches so different that the two costs can be told apart: the determinant of the fit is above
  // this share of its possible size. Below it is noise.
  bool separable(double least_share) const;

  // REQUIRES separable(). Either may come out below 0.
  double seconds_per_example() const;
  double seconds_per_update() const;

  // The cost where all is put on one of the two, and the batch where there was only one. REQUIRES !empty().
  double seconds_per_example_alone() const { return examples_seconds_ / examples_examples_; }
  double seconds_per_update_alone() const { return updates_seconds_ / updates_updates_; }
  double batch() const { return examples_examples_ / examples_updates_; }

 private:
  double Determinant() const { return examples_examples_ * updates_updates_ - examples_updates_ * examples_updates_; }

  // Sums over the stretches of e e, e u, u u over t; of e and u.
  double examples_examples_ = 0;
  double examples_updates_ = 0;
  double updates_updates_ = 0;
  double examples_seconds_ = 0;
  double updates_seconds_ = 0;
};

}  // namespace crescendo::report
