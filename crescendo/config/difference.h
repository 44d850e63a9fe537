// How two configs differ, key by key, and whether that matters.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "crescendo/config/options.h"

namespace crescendo::config {

// Every option that means something with the others' values, as TOML: "schedule.max_batch" -> "\"N/10\"".
std::map<std::string, std::string> SettingsOf(const Options& options);

struct Difference {
  std::string key;
  std::string before;  // as TOML; "" where the option means nothing there
  std::string after;
};

// What another value of an option changes.
enum class Effect {
  kNothing,   // not a bit of what is learned: where the data are, what is logged, how far the loader works ahead
  kRounding,  // the order of sums, so the last bits: device, threads, micro-batch (but for run.reproducible)
  kRun,       // what is learned; all options that are not known to be of another kind
};
Effect EffectOf(std::string_view key);

// Whether a run that was stopped may go on with another value: one that changes at most its last bits, but for
// run.reproducible, which is said of all of a run; or another place of data whose content is compared.
bool MayDifferOnResume(std::string_view key);

// Sorted by key.
std::vector<Difference> DifferencesBetween(const Options& before, const Options& after);

// "schedule.max_batch: 512, now 1024"; "optimizer.beta2: not in use, now 0.99"
std::string ToText(const Difference& difference);

}  // namespace crescendo::config
