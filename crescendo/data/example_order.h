// The order of the training examples: a function of (seed, epoch), and of nothing else. Batches, micro-batches, ranks
// and threads are cut from it and cannot change it, so two schedules with one seed see the same examples in the same
// order.
//
//   ExampleOrder order(seed, 50'000);
//   order.ExampleAt(schedule::Examples{50'001});  // the second example of the second epoch
//
// Each epoch is a permutation of its own: the shuffle of Fisher and Yates (Knuth, The Art of Computer Programming, vol.
// 2, algorithm P), with a draw of its own for each exchange.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "crescendo/schedule/units.h"

namespace crescendo::data {

class ExampleOrder {
 public:
  using Permutation = std::vector<int64_t>;

  // `examples`: the size of the train set, at least 1.
  ExampleOrder(uint64_t seed, int64_t examples);

  int64_t EpochAt(schedule::Examples position) const { return position.value() / examples_; }

  // The index, in the train set, of the example seen at `position`, which counts from the start of training.
  int64_t ExampleAt(schedule::Examples position) const;

  // The whole order of an epoch, from 0. Computed where it is not one of the last two that were asked for (1 ms for
  // 50,000 examples). May be called from any thread.
  std::shared_ptr<const Permutation> Epoch(int64_t epoch) const;

 private:
  struct Cached {
    int64_t epoch = -1;
    std::shared_ptr<const Permutation> order;
  };

  uint64_t seed_;
  int64_t examples_;
  mutable std::mutex mutex_;
  mutable std::array<Cached, 2> cache_;  // epoch e in place e mod 2: a batch may span two epochs
};

}  // namespace crescendo::data
