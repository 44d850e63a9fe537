#include "crescendo/config/difference.h"

#include <fmt/format.h>

#include <algorithm>

#include "crescendo/config/fields.h"
#include "crescendo/config/value_codec.h"

namespace crescendo::config {

std::map<std::string, std::string> SettingsOf(const Options& options) {
  const auto unmet = UnmetConditions(options);
  std::map<std::string, std::string> settings;
  VisitFields(options, [&](const std::string& key, const auto& value, const Description& description) {
    if (!unmet.contains(key)) settings[key] = WriteField(value, description);
  });
  return settings;
}

Effect EffectOf(std::string_view key) {
  constexpr std::string_view kNothing[] = {"data.folder",       "data.threads",       "data.prefetch",
                                           "run.cache_memory",  "run.worker_timeout", "run.log_every",
                                           "run.evaluate_every"};
  constexpr std::string_view kRounding[] = {"run.device",      "run.gpu_norm_kernels", "run.gpu_graphs",
                                            "run.micro_batch", "run.reproducible",     "run.threads",
                                            "run.workers",     "run.worker_batch"};
  if (std::ranges::count(kNothing, key) > 0 || key.starts_with("checkpoint.")) return Effect::kNothing;
  if (std::ranges::count(kRounding, key) > 0) return Effect::kRounding;
  return Effect::kRun;
}

bool MayDifferOnResume(std::string_view key) {
  if (key == "data.train_file" || key == "data.test_file") return true;
  return EffectOf(key) != Effect::kRun && key != "run.reproducible";
}

std::vector<Difference> DifferencesBetween(const Options& before, const Options& after) {
  std::map<std::string, Difference> differences;
  for (const auto& [key, value] : SettingsOf(before)) differences[key] = {key, value, ""};
  for (const auto& [key, value] : SettingsOf(after)) {
    Difference& difference = differences[key];
    difference.key = key;
    difference.after = value;
  }
  std::vector<Difference> result;
  for (auto& [key, difference] : differences) {
    if (difference.before != difference.after) result.push_back(std::move(difference));
  }
  return result;
}

std::string ToText(const Difference& difference) {
  const auto value = [](const std::string& text) { return text.empty() ? "not in use" : text; };
  return fmt::format("{}: {}, now {}", difference.key, value(difference.before), value(difference.after));
}

}  // namespace crescendo::config
