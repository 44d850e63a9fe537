#include "crescendo/data/example_order.h"

#include <numeric>
#include <utility>

#include "crescendo/base/error.h"
#include "crescendo/base/random.h"

namespace crescendo::data {
namespace {

ExampleOrder::Permutation Shuffle(uint64_t key, int64_t examples) {
  ExampleOrder::Permutation order(static_cast<size_t>(examples));
  std::iota(order.begin(), order.end(), int64_t{0});
  for (uint64_t i = order.size() - 1; i > 0; --i) std::swap(order[i], order[RandomBelow(RandomBits(key, i), i + 1)]);
  return order;
}

}  // namespace

ExampleOrder::ExampleOrder(uint64_t seed, int64_t examples) : seed_(seed), examples_(examples) {
  CRESCENDO_ASSERT(examples > 0, "an order of no examples");
}

int64_t ExampleOrder::ExampleAt(schedule::Examples position) const {
  return (*Epoch(EpochAt(position)))[position.value() % examples_];
}

std::shared_ptr<const ExampleOrder::Permutation> ExampleOrder::Epoch(int64_t epoch) const {
  CRESCENDO_ASSERT(epoch >= 0, "a position before the start of training");
  const std::lock_guard lock(mutex_);
  Cached& cached = cache_[epoch % 2];
  if (cached.epoch != epoch) {
    const uint64_t key = RandomKey(seed_, Stream::kExampleOrder, static_cast<uint64_t>(epoch));
    cached = {epoch, std::make_shared<const Permutation>(Shuffle(key, examples_))};
  }
  return cached.order;
}

}  // namespace crescendo::data
