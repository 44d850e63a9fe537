#include "crescendo/config/describe.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <string_view>
#include <type_traits>

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

template <class T>
std::string DescribeField(const std::string& key, const T& value, const Description& description) {
  std::string facts = TypeName(value);
  if (*description.unset != '\0') facts += fmt::format(" or {}", Write(std::string(description.unset)));
  if (*description.unit != '\0') facts += fmt::format(", in {}", description.unit);
  if (const std::string bounds = BoundsText(description); !bounds.empty()) facts += fmt::format(", {}", bounds);
  if constexpr (std::is_enum_v<T>) facts = "one of the cases below";
  if (*description.only_with != '\0') {
    facts += fmt::format("; only with {}", ToText(ParseCondition(key, description.only_with)));
  }
  std::string text = fmt::format("{} = {}\n", key.substr(key.find('.') + 1), WriteField(value, description));
  text += Wrapped("    ", fmt::format("{}.", description.sentence));
  text += Wrapped("    ", fmt::format("({})", facts));
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
  std::string text;
  Options::Visit(defaults, [&](const std::string& name, const auto& section) {
    using Section = std::decay_t<decltype(section)>;
    text +=
        fmt::format("{}[{}]\n{}\n", text.empty() ? "" : "\n", name, Wrapped("", fmt::format("{}.", Section::kAbout)));
    Section::Visit(section, [&](std::string_view key, const auto& value, const Description& description) {
      text += DescribeField(fmt::format("{}.{}", name, key), value, description);
    });
  });
  return text;
}

}  // namespace crescendo::config
