#include "crescendo/config/describe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>
#include <string_view>
#include <type_traits>
#include <vector>

#include "crescendo/config/fields.h"
#include "crescendo/config/value_codec.h"

namespace crescendo::config {
namespace {

// `text` in lines of at most 100 columns; the first goes after `lead`, the others are indented as deep as `lead` is
// long.
std::string Wrapped(const std::string& lead, std::string_view text) {
  constexpr size_t kColumns = 100;
  const std::string indent(lead.size(), ' ');
  std::string lines;
  std::string line = lead;
  std::istringstream words{std::string(text)};
  for (std::string word; words >> word;) {
    const bool is_first = line.size() == lead.size();
    if (!is_first && line.size() + 1 + word.size() > kColumns) {
      lines += line + '\n';
      line = indent;
    } else if (!is_first) {
      line += ' ';
    }
    line += word;
  }
  return lines + line + '\n';
}

template <class E>
std::string DescribeChoices() {
  size_t widest = 0;
  for (const auto& choice : kEnumCases<E>) widest = std::max(widest, choice.name.size());
  std::string text;
  for (const auto& choice : kEnumCases<E>)
    text += Wrapped(fmt::format("        {:<{}}  ", choice.name, widest), choice.sentence);
  return text;
}

// "number, from 0 to 1; only with name = adam", or "" for a choice that can always be made: its cases say the rest.
template <class T>
std::string Facts(const std::string& key, const T& value, const Description& description) {
  std::vector<std::string> facts;
  if constexpr (!std::is_enum_v<T>) {
    const std::string unset = description.unset;
    facts.push_back((description.is_file ? "path" : TypeName(value)) +
                    (unset.empty() ? "" : fmt::format(" or {}", Write(unset))));
    if (*description.unit != '\0') facts.emplace_back(description.unit);
    if (const std::string bounds = BoundsText(description); !bounds.empty()) facts.push_back(bounds);
  }
  if (*description.only_with != '\0') {
    facts.push_back(fmt::format("only with {}", ToText(ParseCondition(key, description.only_with))));
  }
  return fmt::format("{}", fmt::join(facts, "; "));
}

template <class T>
std::string DescribeField(const std::string& key, const T& value, const Description& description) {
  std::string text = fmt::format("\n{} = {}\n", key.substr(key.find('.') + 1), WriteField(value, description));
  text += Wrapped("    ", description.sentence);
  const std::string facts = Facts(key, value, description);
  if (!facts.empty()) text += Wrapped("    ", fmt::format("({})", facts));
  if constexpr (std::is_enum_v<T>) text += DescribeChoices<T>();
  return text;
}

}  // namespace

std::string ToToml(const Options& options) {
  const auto unmet = UnmetConditions(options);
  std::string text;
  std::string section;
  VisitFields(options, [&](const std::string& key, const auto& value, const Description& description) {
    if (unmet.contains(key)) return;
    const size_t dot = key.find('.');
    if (key.substr(0, dot) != section) {
      text += fmt::format("{}[{}]\n", section.empty() ? "" : "\n", key.substr(0, dot));
      section = key.substr(0, dot);
    }
    text += fmt::format("{} = {}\n", key.substr(dot + 1), WriteField(value, description));
  });
  return text;
}

std::string DescribeAll() {
  const Options defaults;
  std::string text =
      "Every option, with its default. In a config file it stands below the name of its section; on the\n"
      "command line it is section.option=value. A position is a place or a length in training: \"60ep\" is\n"
      "60 epochs, \"3000sp\", \"40ksp\" or \"10.24Msp\" are samples (training examples), \"500ba\" is 500\n"
      "batches (updates, steps) of the reference, 0 is the beginning.\n";
  Options::Visit(defaults, [&](const std::string& name, const auto& section) {
    using Section = std::decay_t<decltype(section)>;
    text += fmt::format("\n\n[{}]\n{}", name, Wrapped("", Section::kAbout));
    Section::Visit(section, [&](std::string_view key, const auto& value, const Description& description) {
      text += DescribeField(fmt::format("{}.{}", name, key), value, description);
    });
  });
  return text;
}

}  // namespace crescendo::config
