#include "crescendo/schedule/learning_rate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "crescendo/base/error.h"

namespace crescendo::schedule {
namespace {

double Share(Examples part, Examples whole) {
  return static_cast<double>(part.value()) / static_cast<double>(whole.value());
}

// A half cosine from `from` at share 0 to `to` at share 1.
double HalfCosine(double from, double to, double share) {
  return to + (from - to) * (1 + std::cos(std::numbers::pi * share)) / 2;
}

template <class Range, class Position>
void RequireIncreasing(const Range& positions, Position position_of, const char* what) {
  for (size_t i = 1; i < positions.size(); ++i) {
    if (position_of(positions[i]) <= position_of(positions[i - 1])) {
      throw UserError(fmt::format("{} must increase, but example {} comes after example {}", what,
                                  position_of(positions[i]).value(), position_of(positions[i - 1]).value()));
    }
  }
}

// Where each shape jumps, or may turn: the ends of its pieces inside (0, length). Also checks the shape.
struct BreaksOf {
  Examples length;

  std::vector<Examples> operator()(const Constant&) const { return {}; }
  std::vector<Examples> operator()(const Cosine&) const { return {}; }
  std::vector<Examples> operator()(const Polynomial&) const { return {}; }
  std::vector<Examples> operator()(const Step& shape) const {
    RequireIncreasing(
        shape.boundaries, [](Examples e) { return e; }, "the boundaries of a step schedule");
    return shape.boundaries;
  }
  std::vector<Examples> operator()(const Restarts&) const { return {}; }  // the begins of CyclesOf
  std::vector<Examples> operator()(const Exponential& shape) const {
    if (shape.period <= Examples{0}) throw UserError("the period of an exponential schedule has no length");
    return {};
  }
  std::vector<Examples> operator()(const OneCycle& shape) const {
    if (shape.rise >= length) throw UserError("one-cycle's rise is as long as the training, so it never falls");
    return {shape.rise};
  }
  std::vector<Examples> operator()(const Trapezoid& shape) const {
    if (shape.decay_begin >= length) throw UserError("the trapezoid's decay begins after the end of the training");
    return {shape.decay_begin};
  }
  std::vector<Examples> operator()(const InverseSquareRoot& shape) const {
    if (shape.decay_begin <= Examples{0})
      throw UserError("the inverse square root begins its fall at 0, from infinity");
    return {shape.decay_begin};
  }
  std::vector<Examples> operator()(const Table& shape) const {
    if (shape.points.empty() || shape.points.front().first != Examples{0}) {
      throw UserError("a table of learning rates must begin at position 0");
    }
    RequireIncreasing(
        shape.points, [](const auto& point) { return point.first; }, "the positions of a table");
    std::vector<Examples> breaks;
    if (!shape.interpolate) {
      for (size_t i = 1; i < shape.points.size(); ++i) {
        if (shape.points[i].second != shape.points[i - 1].second) breaks.push_back(shape.points[i].first);
      }
      return breaks;
    }
    // Straight lines that go the same way are one piece: a log may have a row for every update.
    bool falls = false;
    bool rises = false;
    for (size_t i = 0; i + 1 < shape.points.size(); ++i) {
      const auto& [position, rate] = shape.points[i];
      const double next = shape.points[i + 1].second;
      if ((next > rate && falls) || (next < rate && rises)) {
        breaks.push_back(position);
        falls = rises = false;
      }
      falls = falls || next < rate;
      rises = rises || next > rate;
    }
    return breaks;
  }
};

double TableAt(const Table& table, Examples position) {
  const auto after = std::upper_bound(table.points.begin(), table.points.end(), position,
                                      [](Examples p, const auto& point) { return p < point.first; });
  const auto& [begin, rate] = *std::prev(after);
  if (!table.interpolate || after == table.points.end()) return rate;
  return rate + (after->second - rate) * Share(position - begin, after->first - begin);
}

}  // namespace

LearningRate::LearningRate(double peak, Shape shape, Examples length, Warmup warmup)
    : peak_(peak), shape_(std::move(shape)), length_(length), warmup_(warmup) {
  if (length <= Examples{0}) throw UserError("the training has no length: not one example");
  breaks_ = std::visit(BreaksOf{length}, shape_);
  if (const auto* restarts = std::get_if<Restarts>(&shape_)) {
    cycles_ = CyclesOf(*restarts, length);
    for (const Cycle& cycle : cycles_) breaks_.push_back(cycle.begin);
  }
  if (const auto* one_cycle = std::get_if<OneCycle>(&shape_)) rise_end_ = one_cycle->rise;
  if (const auto* table = std::get_if<Table>(&shape_)) {
    const auto largest = std::max_element(table->points.begin(), table->points.end(),
                                          [](const auto& a, const auto& b) { return a.second < b.second; });
    rise_end_ = largest->first;
    peak_ = largest->second;
  }
  breaks_.push_back(warmup.length);
  breaks_.push_back(length);
  std::sort(breaks_.begin(), breaks_.end());
  breaks_.erase(std::unique(breaks_.begin(), breaks_.end()), breaks_.end());
  std::erase_if(breaks_, [&](Examples e) { return e <= Examples{0} || e > length; });
}

std::vector<LearningRate::Cycle> LearningRate::CyclesOf(const Restarts& shape, Examples length) {
  constexpr size_t kMostCycles = 1'000'000;
  if (shape.first_cycle <= Examples{0}) throw UserError("the first cycle of a schedule with restarts has no length");
  std::vector<Cycle> cycles;
  double begin = 0;
  double cycle = static_cast<double>(shape.first_cycle.value());
  while (begin <= static_cast<double>(length.value())) {  // also the one that would begin at the end
    if (cycles.size() == kMostCycles) {
      throw UserError(fmt::format("a first cycle of {} examples gives more than {} restarts", shape.first_cycle.value(),
                                  kMostCycles));
    }
    cycles.push_back({Examples{std::llround(begin)}, cycle});
    begin += cycle;
    cycle *= shape.cycle_factor;
  }
  return cycles;
}

double LearningRate::At(Examples position) const {
  const double rate = ShapeAt(position);
  if (position >= warmup_.length) return rate;
  return rate * (warmup_.start + (1 - warmup_.start) * Share(position, warmup_.length));
}

double LearningRate::AnnealedAt(Examples position) const { return position < rise_end_ ? peak_ : ShapeAt(position); }

Examples LearningRate::PieceEnd(Examples position) const {
  const auto end = std::upper_bound(breaks_.begin(), breaks_.end(), position);
  return end == breaks_.end() ? length_ : *end;
}

double LearningRate::ShapeAt(Examples position) const {
  struct Visitor {
    const LearningRate& rate;
    Examples p;

    double operator()(const Constant&) const { return rate.peak_; }
    double operator()(const Step& shape) const {
      const auto passed = std::upper_bound(shape.boundaries.begin(), shape.boundaries.end(), p);
      return rate.peak_ * std::pow(shape.factor, static_cast<double>(passed - shape.boundaries.begin()));
    }
    double operator()(const Cosine& shape) const {
      return HalfCosine(rate.peak_, shape.final_rate, Share(p, rate.length_));
    }
    double operator()(const Restarts& shape) const {
      const auto after = std::upper_bound(rate.cycles_.begin(), rate.cycles_.end(), p,
                                          [](Examples at, const Cycle& cycle) { return at < cycle.begin; });
      const Cycle& cycle = *std::prev(after);
      return HalfCosine(rate.peak_, shape.final_rate, static_cast<double>((p - cycle.begin).value()) / cycle.length);
    }
    double operator()(const Exponential& shape) const {
      return rate.peak_ * std::pow(shape.factor, Share(p, shape.period));
    }
    double operator()(const Polynomial& shape) const {
      return shape.final_rate + (rate.peak_ - shape.final_rate) * std::pow(1 - Share(p, rate.length_), shape.power);
    }
    double operator()(const OneCycle& shape) const {
      const double peak = rate.peak_;
      if (p < shape.rise) return HalfCosine(peak * shape.start_factor, peak, Share(p, shape.rise));
      return HalfCosine(peak, peak * shape.final_factor, Share(p - shape.rise, rate.length_ - shape.rise));
    }
    double operator()(const Trapezoid& shape) const {
      if (p < shape.decay_begin) return rate.peak_;
      const double share = Share(p - shape.decay_begin, rate.length_ - shape.decay_begin);
      return rate.peak_ + (shape.final_rate - rate.peak_) * share;
    }
    double operator()(const InverseSquareRoot& shape) const {
      return p < shape.decay_begin ? rate.peak_ : rate.peak_ * std::sqrt(Share(shape.decay_begin, p));
    }
    double operator()(const Table& shape) const { return TableAt(shape, p); }
  };
  return std::visit(Visitor{*this, position}, shape_);
}

Momentum::Momentum(double initial, const std::vector<std::pair<Examples, double>>& changes)
    : changes_{{Examples{0}, initial}} {
  for (const auto& [position, value] : changes) {
    if (position == Examples{0} && changes_.size() == 1) {
      changes_.front().second = value;
    } else {
      changes_.emplace_back(position, value);
    }
  }
  RequireIncreasing(
      changes_, [](const auto& change) { return change.first; }, "the positions of a momentum table");
  const auto is_none = [](const auto& before, const auto& change) { return before.second == change.second; };
  changes_.erase(std::unique(changes_.begin(), changes_.end(), is_none), changes_.end());
}

double Momentum::At(Examples position) const {
  const auto after = std::upper_bound(changes_.begin(), changes_.end(), position,
                                      [](Examples p, const auto& change) { return p < change.first; });
  return std::prev(after)->second;
}

Examples Momentum::NextChange(Examples position) const {
  const auto after = std::upper_bound(changes_.begin(), changes_.end(), position,
                                      [](Examples p, const auto& change) { return p < change.first; });
  return after == changes_.end() ? Examples{std::numeric_limits<int64_t>::max()} : after->first;
}

}  // namespace crescendo::schedule
