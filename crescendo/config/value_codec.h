// How the value of an option is read from TOML, written as TOML and named to people: an overload of each per type. A
// value that has none does not compile as an option.
//
// Read gives "" where `node` could be read, else what it must be: the end of a message that begins "KEY = GIVEN: ".
#pragma once

#include <toml++/toml.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "crescendo/base/enum_names.h"
#include "crescendo/base/nearest_name.h"
#include "crescendo/config/options.h"

namespace crescendo::config {

std::string Read(const toml::node& node, bool& value);
std::string Read(const toml::node& node, int64_t& value);
std::string Read(const toml::node& node, double& value);
std::string Read(const toml::node& node, std::string& value);
std::string Read(const toml::node& node, Position& value);
std::string Read(const toml::node& node, BatchLimit& value);
std::string Read(const toml::node& node, Column& value);
std::string Read(const toml::node& node, std::vector<int64_t>& value);
std::string Read(const toml::node& node, std::vector<Column>& value);
std::string Read(const toml::node& node, std::vector<Position>& value);
std::string Read(const toml::node& node, std::pair<Position, double>& value);
std::string Read(const toml::node& node, PositionTable& value);

// TOML that reads back as the same value.
std::string Write(bool value);
std::string Write(int64_t value);
std::string Write(double value);
std::string Write(const std::string& value);
std::string Write(const Position& value);
std::string Write(const BatchLimit& value);
std::string Write(const Column& value);
std::string Write(const std::vector<int64_t>& value);
std::string Write(const std::vector<Column>& value);
std::string Write(const std::vector<Position>& value);
std::string Write(const std::pair<Position, double>& value);
std::string Write(const PositionTable& value);

// What the type is called in `crescendo config`: "whole number".
inline std::string TypeName(const bool&) { return "true or false"; }
inline std::string TypeName(const int64_t&) { return "whole number"; }
inline std::string TypeName(const double&) { return "number"; }
inline std::string TypeName(const std::string&) { return "text"; }
inline std::string TypeName(const Position&) { return "position"; }
inline std::string TypeName(const BatchLimit&) { return "whole number, \"N/k\" or \"none\""; }
inline std::string TypeName(const Column&) { return "whole number or text"; }
inline std::string TypeName(const std::vector<Column>&) { return "list of whole numbers or texts"; }
inline std::string TypeName(const std::vector<int64_t>&) { return "list of whole numbers"; }
inline std::string TypeName(const std::vector<Position>&) { return "list of positions"; }
inline std::string TypeName(const PositionTable&) { return "list of pairs"; }

// The numbers in a value that the bounds of its option hold for.
inline std::vector<double> NumbersIn(const int64_t& value) { return {static_cast<double>(value)}; }
inline std::vector<double> NumbersIn(const double& value) { return {value}; }
std::vector<double> NumbersIn(const BatchLimit& value);
std::vector<double> NumbersIn(const std::vector<int64_t>& value);
std::vector<double> NumbersIn(const PositionTable& value);
template <class T>
std::vector<double> NumbersIn(const T&) {  // text, choices, and positions, which cannot be below 0
  return {};
}

// As people write it: 5000, 0.0001, 1e9.
std::string NumberText(double value);

// "from 1 to 1e9", "at least 0", or "" where anything goes.
std::string BoundsText(const Description& description);

// For messages: cut after 57 bytes, with three dots, where it is longer than 60.
std::string Shortened(std::string_view text);

// One line of TOML, shortened.
std::string GivenText(const toml::node& node);

// ---- Choices and optional values.

template <class E>
concept Choice = std::is_enum_v<E>;

template <Choice E>
std::string Write(E value) {
  return Write(std::string(NameOf(value)));
}

std::string ReadChoice(const toml::node& node, const std::vector<std::string>& names, size_t& chosen);

template <Choice E>
std::string Read(const toml::node& node, E& value) {
  std::vector<std::string> names;
  for (const auto& choice : kEnumCases<E>) names.emplace_back(choice.name);
  size_t chosen = 0;
  std::string problem = ReadChoice(node, names, chosen);
  if (problem.empty()) value = kEnumCases<E>[chosen].value;
  return problem;
}

template <class T>
std::string TypeName(const std::optional<T>&) {
  return TypeName(T{});
}

template <class T>
std::vector<double> NumbersIn(const std::optional<T>& value) {
  return value ? NumbersIn(*value) : std::vector<double>{};
}

// With the description, since an optional value has a word for "not set". All types can be read and written so.
template <class T>
std::string ReadField(const toml::node& node, T& value, const Description&) {
  return Read(node, value);
}

template <class T>
std::string ReadField(const toml::node& node, std::optional<T>& value, const Description& description) {
  if (node.value<std::string_view>() == description.unset) {
    value.reset();
    return "";
  }
  T inner{};
  const std::string problem = Read(node, inner);
  if (!problem.empty()) return problem + ", or " + Write(std::string(description.unset));
  value = inner;
  return "";
}

template <class T>
std::string WriteField(const T& value, const Description&) {
  return Write(value);
}

template <class T>
std::string WriteField(const std::optional<T>& value, const Description& description) {
  return value ? Write(*value) : Write(std::string(description.unset));
}

}  // namespace crescendo::config
