// Learning-rate shapes: pure functions of the position in training, in examples. Nothing remembers a last value.
//
//   LearningRate rate(0.1, Step{{Examples{3'000'000}, Examples{6'000'000}}, 0.2}, /*length=*/Examples{10'000'000});
//   rate.At(Examples{3'000'000});  // 0.02: a boundary belongs to what follows it
//
// A planner needs two more views of a schedule. AnnealedAt is the rate without its rise: before its first maximum
// (warm-up, one-cycle's first half) it is the maximum, because a batch must not follow a warm-up, which lowers the
// noise for stability and not to anneal. PieceEnd cuts the schedule into pieces on which both are continuous and
// monotone.
#pragma once

#include <utility>
#include <variant>
#include <vector>

#include "crescendo/schedule/units.h"

namespace crescendo::schedule {

// In the formulas: p position, L length of training, eps the peak rate.

struct Constant {};

// eps factor^k after k boundaries.
struct Step {
  std::vector<Examples> boundaries;  // increasing
  double factor = 0.1;
};

// final + (eps - final) (1 + cos(pi p / L)) / 2. Loshchilov & Hutter 2017, eq. 5, one cycle.
struct Cosine {
  double final_rate = 0;
};

// The same over cycles, each cycle_factor (T_mult) times as long as the one before. Loshchilov & Hutter 2017 (SGDR).
struct Restarts {
  Examples first_cycle;
  double cycle_factor = 1;
  double final_rate = 0;
};

// eps factor^(p / period).
struct Exponential {
  Examples period;
  double factor = 0.1;
};

// final + (eps - final) (1 - p / L)^power; power 1: a straight line.
struct Polynomial {
  double power = 1;
  double final_rate = 0;
};

// From eps start_factor along a half cosine to eps at `rise`, then along one to eps final_factor at the end. Smith
// 2018, in the form of PyTorch's OneCycleLR (start_factor = 1/div_factor; final_factor = 1/(div_factor
// final_div_factor)).
struct OneCycle {
  Examples rise;
  double start_factor = 0.04;
  double final_factor = 4e-6;
};

// eps, then from decay_begin a straight line to final_rate at L. With a warm-up: warm-up, stable, decay.
struct Trapezoid {
  Examples decay_begin;
  double final_rate = 0;
};

// eps, then from decay_begin eps sqrt(decay_begin / p). With a warm-up of that length: Vaswani et al. 2017,
// section 5.3; without: Raffel et al. 2020, section 3.1.2.
struct InverseSquareRoot {
  Examples decay_begin;
};

// Values at positions, the first at 0; the peak is the largest. Between two positions: the value before, or a straight
// line.
struct Table {
  std::vector<std::pair<Examples, double>> points;  // increasing positions
  bool interpolate = false;
};

using Shape = std::variant<Constant, Step, Cosine, Restarts, Exponential, Polynomial, OneCycle, Trapezoid,
                           InverseSquareRoot, Table>;

// A factor on the shape that rises in a straight line from `start` at position 0 to 1 at `length`.
struct Warmup {
  Examples length;
  double start = 0;
};

class LearningRate {
 public:
  // `peak` is the largest rate (ignored for Table, whose values are absolute); `length` is that of the whole training,
  // > 0. UserError where the shape does not describe a schedule (positions that do not increase, a cycle of no length).
  LearningRate(double peak, Shape shape, Examples length, Warmup warmup = {});

  double At(Examples position) const;
  double AnnealedAt(Examples position) const;

  // The end of the piece that holds `position` < length: the next jump or turn, at most `length`.
  Examples PieceEnd(Examples position) const;

  double peak() const { return peak_; }
  Examples length() const { return length_; }
  const Shape& shape() const { return shape_; }
  const Warmup& warmup() const { return warmup_; }

 private:
  // Of a schedule with restarts. Its length is no whole number of examples where cycles grow.
  struct Cycle {
    Examples begin;
    double length;
  };

  static std::vector<Cycle> CyclesOf(const Restarts& shape, Examples length);
  double ShapeAt(Examples position) const;

  double peak_;
  Shape shape_;
  Examples length_;
  Warmup warmup_;
  Examples rise_end_;             // where the shape has its first maximum
  std::vector<Cycle> cycles_;     // increasing
  std::vector<Examples> breaks_;  // ends of pieces, increasing, the last is length_
};

// Momentum: a value from the start, others from positions on.
class Momentum {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): a number is one
  Momentum(double initial) : changes_{{Examples{0}, initial}} {}
  // UserError where positions do not increase.
  Momentum(double initial, const std::vector<std::pair<Examples, double>>& changes);

  double At(Examples position) const;
  Examples NextChange(Examples position) const;  // after `position`; the largest possible position where there is none

 private:
  std::vector<std::pair<Examples, double>> changes_;
};

}  // namespace crescendo::schedule
