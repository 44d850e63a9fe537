// Units that do not mix. Examples are the one clock of crescendo; updates are an outcome.
//
//   Examples position{50'000};
//   Examples batch{128};
//   int64_t whole_batches = position / batch;  // a ratio has no unit
//   Updates update{3};
//   position + update;                         // does not compile
#pragma once

#include <compare>
#include <cstdint>

namespace crescendo::schedule {

template <class Tag>
class Count {
 public:
  constexpr Count() = default;
  constexpr explicit Count(int64_t value) : value_(value) {}
  constexpr int64_t value() const { return value_; }

  friend constexpr auto operator<=>(Count, Count) = default;
  friend constexpr Count operator+(Count a, Count b) { return Count(a.value_ + b.value_); }
  friend constexpr Count operator-(Count a, Count b) { return Count(a.value_ - b.value_); }
  friend constexpr Count operator*(Count a, int64_t factor) { return Count(a.value_ * factor); }
  friend constexpr int64_t operator/(Count a, Count b) { return a.value_ / b.value_; }
  friend constexpr Count operator%(Count a, Count b) { return Count(a.value_ % b.value_); }
  constexpr Count& operator+=(Count other) { return *this = *this + other; }
  constexpr Count& operator-=(Count other) { return *this = *this - other; }

 private:
  int64_t value_ = 0;
};

using Examples = Count<struct ExamplesTag>;  // training examples, or a position: examples seen
using Updates = Count<struct UpdatesTag>;    // steps of the optimizer

}  // namespace crescendo::schedule
