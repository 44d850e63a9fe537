#include "crescendo/config/fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <optional>
#include <sstream>
#include <type_traits>

#include "crescendo/base/error.h"

namespace crescendo::config {
namespace {

// The values of the options that a condition may name.
std::map<std::string, std::string, std::less<>> Choices(const Options& options) {
  std::map<std::string, std::string, std::less<>> choices;
  VisitFields(options, [&](const std::string& key, const auto& value, const Description&) {
    using Value = std::decay_t<decltype(value)>;
    if constexpr (std::is_enum_v<Value>) {
      choices.emplace(key, NameOf(value));
    } else if constexpr (std::is_same_v<Value, bool>) {
      choices.emplace(key, value ? "true" : "false");
    }
  });
  return choices;
}

}  // namespace

std::vector<std::string> AllKeys() {
  std::vector<std::string> keys;
  const Options options;
  VisitFields(options, [&](const std::string& key, const auto&, const Description&) { keys.push_back(key); });
  return keys;
}

std::vector<std::string> AllSections() {
  std::vector<std::string> sections;
  const Options options;
  Options::Visit(options, [&](const char* name, const auto&) { sections.emplace_back(name); });
  return sections;
}

Condition ParseCondition(std::string_view key, std::string_view only_with) {
  std::istringstream words{std::string(only_with)};
  std::string sibling;
  std::string equals;
  words >> sibling >> equals;
  CRESCENDO_ASSERT(equals == "=", fmt::format("the condition of {} is not of the form KEY = VALUE VALUE", key));
  Condition condition{fmt::format("{}.{}", key.substr(0, key.find('.')), sibling), {}};
  for (std::string value; words >> value;) condition.values.push_back(value);
  return condition;
}

std::string ToText(const Condition& condition) {
  const std::vector<std::string>& values = condition.values;
  if (values.size() == 1) return fmt::format("{} = {}", condition.key, values.front());
  return fmt::format("{} = {} or {}", condition.key, fmt::join(values.begin(), std::prev(values.end()), ", "),
                     values.back());
}

std::map<std::string, UnmetCondition, std::less<>> UnmetConditions(const Options& options) {
  const auto choices = Choices(options);
  std::map<std::string, Condition, std::less<>> conditions;
  VisitFields(options, [&](const std::string& key, const auto&, const Description& description) {
    if (*description.only_with != '\0') conditions.emplace(key, ParseCondition(key, description.only_with));
  });

  const auto defaults = Choices(Options{});
  const std::function<std::optional<UnmetCondition>(const std::string&, size_t)> unmet_of =
      [&](const std::string& key, size_t depth) -> std::optional<UnmetCondition> {
    CRESCENDO_ASSERT(depth <= conditions.size(), fmt::format("the condition of {} hangs on itself", key));
    const auto own = conditions.find(key);
    if (own == conditions.end()) return std::nullopt;
    const Condition& condition = own->second;
    const std::optional<UnmetCondition> further = unmet_of(condition.key, depth + 1);
    const auto& values = further ? defaults : choices;
    const auto value = values.find(condition.key);
    CRESCENDO_ASSERT(value != values.end(), fmt::format("{} hangs on what is not a choice", key));
    if (std::ranges::find(condition.values, value->second) != condition.values.end()) return std::nullopt;
    // The furthest is what the user has to change for the nearer one to matter.
    return further ? further : UnmetCondition{condition, value->second};
  };

  std::map<std::string, UnmetCondition, std::less<>> unmet;
  for (const auto& [key, condition] : conditions) {
    if (const auto found = unmet_of(key, 0)) unmet.emplace(key, *found);
  }
  return unmet;
}

}  // namespace crescendo::config
