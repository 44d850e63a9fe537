// Ways to walk the options, all over Options::Visit.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "crescendo/config/options.h"

namespace crescendo::config {

// visit(key, value, description) for every option of every section, in the order of the file; key is
// "schedule.max_batch".
template <class OptionsType, class Visitor>
void VisitFields(OptionsType& options, Visitor&& visit) {
  Options::Visit(options, [&visit](std::string_view section_name, auto& section) {
    std::decay_t<decltype(section)>::Visit(
        section, [&visit, section_name](std::string_view name, auto& value, const Description& description) {
          visit(std::string(section_name).append(".").append(name), value, description);
        });
  });
}

// Every key, in the order of the file: "data.name", "data.folder", ...
std::vector<std::string> AllKeys();

// The names of the sections, in the order of the file.
std::vector<std::string> AllSections();

// A condition on another option.
struct Condition {
  std::string key;                  // "schedule.policy"
  std::vector<std::string> values;  // any of these
};

// The condition `only_with` of the option `key`, whose section's name it completes. `only_with` must not be empty.
Condition ParseCondition(std::string_view key, std::string_view only_with);

// "schedule.policy = grow", "reference.shape = cosine, linear or trapezoid"
std::string ToText(const Condition& condition);

struct UnmetCondition {
  Condition condition;
  std::string value;  // what the option of the condition is instead
};

// The options that mean nothing with the values the others have, by key. Another that itself means nothing counts with
// its default; where an option hangs on such a one, the condition of that other is given.
std::map<std::string, UnmetCondition, std::less<>> UnmetConditions(const Options& options);

}  // namespace crescendo::config
