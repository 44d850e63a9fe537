#include "crescendo/study/trials.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <type_traits>

#include "crescendo/base/error.h"
#include "crescendo/base/random.h"
#include "crescendo/config/digest.h"
#include "crescendo/config/fields.h"

namespace crescendo::study {
namespace {

using config::Options;
using config::Position;
using config::PositionTable;

void CheckEqualLength(const Study& study, const std::vector<schedule::Plan>& plans) {
  for (size_t i = 0; i < plans.size(); ++i) {
    const auto ours = plans[i].total_examples().value();
    const auto theirs = plans[study.reference].total_examples().value();
    if (ours == theirs) continue;
    throw UserError(
        fmt::format("the study holds {} equal, but {} sees {} examples and {} sees {}: give them the same "
                    "schedule.length, or state equal = \"nothing\"",
                    NameOf(study.equal), study.variants[i].name, ours, study.variants[study.reference].name, theirs));
  }
}

template <class T>
void Shuffle(std::vector<T>& list, uint64_t key) {
  for (size_t left = list.size(); left > 1; --left) {
    std::swap(list[left - 1], list[RandomBelow(RandomBits(key, left), left)]);
  }
}

}  // namespace

Options Stretched(const Options& options, double factor, int64_t train_examples) {
  if (factor == 1) return options;  // the same run, by its digest too
  Options stretched = options;
  const config::Scale scale = config::ScaleOf(options, train_examples);
  const auto stretch = [&](Position& position) {
    const double examples = static_cast<double>(position.Resolve(scale).value());
    position = {std::round(examples * factor), Position::Unit::kExamples};
  };
  config::VisitFields(stretched, [&](const std::string& key, auto& value, const config::Description&) {
    using Value = std::decay_t<decltype(value)>;
    if (!key.starts_with("reference.") && !key.starts_with("schedule.")) return;
    if constexpr (std::is_same_v<Value, Position>) {
      if (value.amount > 0) stretch(value);
    } else if constexpr (std::is_same_v<Value, std::vector<Position>>) {
      for (Position& position : value) stretch(position);
    } else if constexpr (std::is_same_v<Value, PositionTable>) {
      for (auto& [position, number] : value) stretch(position);
    }
  });
  return stretched;
}

Options WithUpdates(const Options& options, int64_t updates, const PlanOf& plan_of) {
  const schedule::Plan plan = plan_of(options);
  const int64_t now = plan.total_updates().value();
  if (now == updates) return options;
  const int64_t train_examples = plan.train_examples().value();
  const auto updates_at = [&](double factor) {
    return plan_of(Stretched(options, factor, train_examples)).total_updates().value();
  };
  // The count rises with the factor, but for a step where a boundary falls on another update.
  double low = 0;
  double high = 1;
  while (updates_at(high) < updates) {
    low = high;
    high *= 2;
  }
  constexpr int kHalvings = 60;
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = (low + high) / 2;
    const int64_t count = middle * static_cast<double>(plan.total_examples().value()) < 1 ? 0 : updates_at(middle);
    if (count == updates) return Stretched(options, middle, train_examples);
    (count < updates ? low : high) = middle;
  }
  throw RunError(fmt::format("no length of this schedule takes exactly {} updates; {:.6g} times its own takes {}",
                             updates, high, updates_at(high)));
}

std::vector<Trial> MakeTrials(const Study& study, const PlanOf& plan_of) {
  std::vector<Options> options;
  std::vector<schedule::Plan> plans;
  for (const Variant& variant : study.variants) {
    options.push_back(variant.options);
    plans.push_back(plan_of(variant.options));
  }
  if (study.equal == Equal::kEpochs || study.equal == Equal::kImagesTimesDevices) CheckEqualLength(study, plans);
  if (study.equal == Equal::kUpdates) {
    const int64_t updates = plans[study.reference].total_updates().value();
    for (size_t i = 0; i < options.size(); ++i) {
      try {
        options[i] = WithUpdates(options[i], updates, plan_of);
      } catch (const RunError& error) {
        throw UserError(
            fmt::format("the study holds updates equal, but for {}: {}", study.variants[i].name, error.what()));
      }
      plans[i] = plan_of(options[i]);
    }
  }

  std::vector<Trial> trials;
  std::map<std::string, size_t> variant_of_digest;
  for (size_t i = 0; i < options.size(); ++i) {
    for (const int64_t seed : study.seeds) {
      Trial trial{i, seed, options[i], "", plans[i].total_examples().value(), plans[i].total_updates().value()};
      trial.options.run.seed = seed;
      trial.digest = config::Digest(trial.options);
      const auto [same, is_new] = variant_of_digest.emplace(trial.digest, i);
      if (!is_new) {
        throw UserError(
            fmt::format("the variants {} and {} are the same run: their options differ in nothing that "
                        "changes what is learned",
                        study.variants[same->second].name, study.variants[i].name));
      }
      trials.push_back(std::move(trial));
    }
  }
  return trials;
}

std::vector<size_t> ShuffledOrder(const std::vector<Trial>& trials) {
  std::map<int64_t, std::vector<size_t>> of_seed;
  for (size_t trial = 0; trial < trials.size(); ++trial) of_seed[trials[trial].seed].push_back(trial);
  std::vector<int64_t> seeds;
  for (const auto& [seed, of_this_seed] : of_seed) seeds.push_back(seed);
  Shuffle(seeds, RandomKey(0, Stream::kTrialOrder, trials.size()));
  std::vector<size_t> order;
  for (const int64_t seed : seeds) {
    std::vector<size_t>& block = of_seed[seed];
    Shuffle(block, RandomKey(1, Stream::kTrialOrder, static_cast<uint64_t>(seed)));
    order.insert(order.end(), block.begin(), block.end());
  }
  return order;
}

}  // namespace crescendo::study
