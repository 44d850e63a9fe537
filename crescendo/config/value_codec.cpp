#include "crescendo/config/value_codec.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <sstream>
#include <utility>

namespace crescendo::config {
namespace {

std::string OneLineToml(const toml::node& node) {
  if (const toml::array* list = node.as_array()) {
    std::vector<std::string> items;
    for (const toml::node& item : *list) items.push_back(OneLineToml(item));
    return fmt::format("[{}]", fmt::join(items, ", "));
  }
  if (const toml::table* table = node.as_table()) {
    std::vector<std::string> items;
    for (const auto& [key, value] : *table) items.push_back(fmt::format("{} = {}", key.str(), OneLineToml(value)));
    return fmt::format("{{{}}}", fmt::join(items, ", "));
  }
  if (node.is_floating_point()) return NumberText(node.as_floating_point()->get());
  std::ostringstream stream;
  stream << toml::toml_formatter(node, toml::format_flags::allow_unicode_strings);
  return std::move(stream).str();
}

template <class T>
std::string ReadList(const toml::node& node, std::vector<T>& value, std::string_view must_be) {
  const toml::array* list = node.as_array();
  if (list == nullptr) return std::string(must_be);
  std::vector<T> items;
  for (const toml::node& item : *list) {
    const std::string problem = Read(item, items.emplace_back());
    if (!problem.empty()) return fmt::format("item {}, {}: {}", items.size(), GivenText(item), problem);
  }
  value = std::move(items);
  return "";
}

template <class T>
std::string WriteList(const std::vector<T>& list) {
  std::vector<std::string> items;
  for (const T& item : list) items.push_back(Write(item));
  return fmt::format("[{}]", fmt::join(items, ", "));
}

}  // namespace

std::string Read(const toml::node& node, bool& value) {
  if (!node.is_boolean()) return "it must be true or false";
  value = node.as_boolean()->get();
  return "";
}

std::string Read(const toml::node& node, int64_t& value) {
  if (!node.is_integer()) return "it must be a whole number";
  value = node.as_integer()->get();
  return "";
}

std::string Read(const toml::node& node, double& value) {
  const auto number = node.is_number() ? node.value<double>() : std::nullopt;
  if (!number || !std::isfinite(*number)) return "it must be a number";
  value = *number;
  return "";
}

std::string Read(const toml::node& node, std::string& value) {
  if (!node.is_string()) return "it must be text, in quotes";
  value = node.as_string()->get();
  return "";
}

std::string Read(const toml::node& node, Position& value) {
  const auto number = node.is_number() ? node.value<double>() : std::nullopt;
  if (number && *number > 0 && std::isfinite(*number)) {
    const bool is_whole = *number == std::floor(*number);
    const std::string batches = is_whole ? fmt::format(R"( or "{}" (batches of the reference))",
                                                       ToText(Position{*number, Position::Unit::kBatches}))
                                         : "";
    return fmt::format("a position needs a unit: \"{}\" (epochs){} \"{}\" (samples){}",
                       ToText(Position{*number, Position::Unit::kEpochs}), is_whole ? "," : " or",
                       ToText(Position{*number, Position::Unit::kExamples}), batches);
  }
  const auto position = ParsePosition(number == 0.0 ? "0" : node.value_or(std::string_view()));
  if (!position)
    return R"(it must be a position: epochs such as "60ep", samples such as "3000sp", "40ksp", "10.24Msp", or batches of the reference such as "500ba")";
  value = *position;
  return "";
}

std::string Read(const toml::node& node, BatchLimit& value) {
  if (node.is_integer()) {
    value = {BatchLimit::Kind::kExamples, node.as_integer()->get()};
    return "";
  }
  const auto limit = ParseBatchLimit(node.value_or(std::string_view()));
  if (!limit)
    return R"(it must be a whole number of examples such as 5120, or a share of the training set such as "N/10", or "none")";
  value = *limit;
  return "";
}

std::string Read(const toml::node& node, Column& value) {
  if (node.is_integer()) {
    value = node.as_integer()->get();
  } else if (node.is_string()) {
    value = node.as_string()->get();
  } else {
    return "it must be the number of a column, from 0, or its name in the table's header";
  }
  return "";
}

std::string Read(const toml::node& node, std::vector<Column>& value) {
  return ReadList(node, value, R"(it must be a list such as [0, 3] or ["colour", "size"])");
}

std::string Read(const toml::node& node, std::vector<int64_t>& value) {
  return ReadList(node, value, "it must be a list such as [128, 64]");
}

std::string Read(const toml::node& node, std::vector<Position>& value) {
  return ReadList(node, value, R"(it must be a list such as ["60ep", "120ep"])");
}

std::string Read(const toml::node& node, PositionTable& value) {
  return ReadList(node, value,
                  R"(it must be a list of pairs such as [["0ep", 0.1], ["60ep", 0.02]], or the path of a CSV file)");
}

std::string Read(const toml::node& node, std::pair<Position, double>& value) {
  const toml::array* pair = node.as_array();
  if (pair == nullptr || pair->size() != 2) return R"(it must be a pair such as ["60ep", 0.02])";
  if (std::string problem = Read((*pair)[0], value.first); !problem.empty()) return problem;
  return Read((*pair)[1], value.second);
}

std::string ReadChoice(const toml::node& node, const std::vector<std::string>& names, size_t& chosen) {
  const std::string given(node.value_or(std::string_view()));
  const auto found = std::ranges::find(names, given);
  if (found == names.end())
    return fmt::format("it must be one of {}{}", fmt::join(names, ", "), DidYouMean(given, names));
  chosen = static_cast<size_t>(found - names.begin());
  return "";
}

std::string Write(bool value) { return value ? "true" : "false"; }
std::string Write(int64_t value) { return fmt::format("{}", value); }
std::string Write(double value) { return NumberText(value); }
std::string Write(const std::string& value) { return OneLineToml(toml::value<std::string>(value)); }
std::string Write(const Position& value) { return Write(ToText(value)); }
std::string Write(const BatchLimit& value) {
  return value.kind == BatchLimit::Kind::kExamples ? Write(value.value) : Write(ToText(value));
}
std::string Write(const std::pair<Position, double>& value) {
  return fmt::format("[{}, {}]", Write(value.first), Write(value.second));
}
std::string Write(const Column& value) {
  return std::visit([](const auto& place) { return Write(place); }, value);
}
std::string Write(const std::vector<int64_t>& value) { return WriteList(value); }
std::string Write(const std::vector<Column>& value) { return WriteList(value); }
std::string Write(const std::vector<Position>& value) { return WriteList(value); }
std::string Write(const PositionTable& value) { return WriteList(value); }

std::vector<double> NumbersIn(const BatchLimit& value) {
  if (value.kind == BatchLimit::Kind::kNone) return {};
  return {static_cast<double>(value.value)};
}

std::vector<double> NumbersIn(const std::vector<int64_t>& value) { return {value.begin(), value.end()}; }

std::vector<double> NumbersIn(const PositionTable& value) {
  std::vector<double> numbers;
  for (const auto& [position, number] : value) numbers.push_back(number);
  return numbers;
}

std::string NumberText(double value) {
  constexpr double kPlain = 1e6;  // from here on powers of ten are easier to read than zeros
  const bool is_plain_integer = std::abs(value) < kPlain && value == std::floor(value);
  if (is_plain_integer) return fmt::format("{:.0f}", value);
  std::array<char, 32> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  std::string text(buffer.data(), end.ptr);  // the shortest that reads back: "1e+09", "4e-06", "0.1"
  if (const size_t plus = text.find("e+"); plus != std::string::npos) text.erase(plus + 1, 1);
  if (const size_t zero = text.find("e0"); zero != std::string::npos) text.erase(zero + 1, 1);
  if (const size_t zero = text.find("e-0"); zero != std::string::npos) text.erase(zero + 2, 1);
  return text;
}

std::string BoundsText(const Description& description) {
  const bool has_minimum = std::isfinite(description.minimum);
  const bool has_maximum = std::isfinite(description.maximum);
  if (has_minimum && has_maximum) {
    return fmt::format("from {} to {}", NumberText(description.minimum), NumberText(description.maximum));
  }
  if (has_minimum) return fmt::format("at least {}", NumberText(description.minimum));
  if (has_maximum) return fmt::format("at most {}", NumberText(description.maximum));
  return "";
}

std::string Shortened(std::string_view text) {
  constexpr size_t kLongest = 60;
  if (text.size() <= kLongest) return std::string(text);
  size_t end = kLongest - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // not inside a character
  return std::string(text.substr(0, end)) + "...";
}

std::string GivenText(const toml::node& node) { return Shortened(OneLineToml(node)); }

}  // namespace crescendo::config
