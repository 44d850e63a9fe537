#include "crescendo/config/position_table_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "crescendo/base/csv_table.h"
#include "crescendo/base/error.h"
#include "crescendo/base/file.h"

namespace crescendo::config {
namespace {

// Each has some 40 bytes in the resolved config, which has at most 1 MiB.
constexpr size_t kMostRows = 20'000;

struct UnitName {
  std::string_view name;
  Position::Unit unit;
};
constexpr UnitName kUnitNames[] = {{"step", Position::Unit::kBatches},      {"update", Position::Unit::kBatches},
                                   {"iteration", Position::Unit::kBatches}, {"batch", Position::Unit::kBatches},
                                   {"epoch", Position::Unit::kEpochs},      {"sample", Position::Unit::kExamples},
                                   {"example", Position::Unit::kExamples}};

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

std::optional<Position::Unit> UnitOf(const std::string& name) {
  for (const UnitName& known : kUnitNames) {
    if (name == known.name || name == fmt::format("{}s", known.name)) return known.unit;
  }
  return std::nullopt;
}

std::optional<double> NumberIn(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) return std::nullopt;
  return number;
}

struct Columns {
  int64_t position = -1;
  Position::Unit unit = Position::Unit::kEpochs;
  int64_t value = -1;
};

// Weights & Biases puts these beside each column.
bool IsARange(const std::string& name) { return name.ends_with("__min") || name.ends_with("__max"); }

Columns ColumnsOf(const CsvTable& table, const std::vector<std::string_view>& value_names) {
  std::vector<std::string> names;
  for (const std::string_view name : table.names()) names.push_back(Lower(name));
  Columns columns;
  std::vector<int64_t> others;
  for (int64_t i = 0; i < std::ssize(names); ++i) {
    const std::string& name = names[static_cast<size_t>(i)];
    const std::optional<Position::Unit> unit = UnitOf(name);
    if (unit && columns.position < 0) {
      columns = {i, *unit, -1};
    } else if (!unit && !IsARange(name)) {
      others.push_back(i);
    }
  }
  for (const std::string_view name : value_names) {
    const auto found = std::ranges::find(names, name);
    if (columns.value < 0 && found != names.end()) columns.value = found - names.begin();
  }
  if (columns.value < 0 && others.size() == 1) columns.value = others.front();
  const bool has_names = std::ssize(names) == table.columns();
  if (has_names && columns.position >= 0 && columns.value >= 0) return columns;
  throw UserError(fmt::format(
      "{}: its first line must name its {} columns: one step, epoch or sample, for positions, "
      "and one {}; it has {}",
      table.path().string(), table.columns(), fmt::join(value_names, " or "), fmt::join(table.names(), ", ")));
}

Position PositionAt(const CsvTable& table, int64_t row, const Columns& columns) {
  const std::string_view text = table.Field(row, columns.position);
  const std::optional<double> amount = NumberIn(text);
  if (!amount || *amount < 0) table.FailAt(row, columns.position, fmt::format("'{}' is not a position", text));
  if (columns.unit == Position::Unit::kBatches && *amount != std::floor(*amount)) {
    table.FailAt(row, columns.position, fmt::format("'{}' is not a whole number of steps", text));
  }
  return {*amount, columns.unit};
}

}  // namespace

PositionTable ReadPositionTable(const std::filesystem::path& path, std::string_view key) {
  const CsvTable csv(path, ReadFile(path), {.header = true, .comment = "#"});
  const bool of_momentum = key.find("momentum") != std::string_view::npos;
  const Columns columns =
      of_momentum ? ColumnsOf(csv, {"momentum", "value"}) : ColumnsOf(csv, {"learning_rate", "lr", "value"});
  PositionTable table;
  for (int64_t row = 0; row < csv.rows(); ++row) {
    const std::string_view text = csv.Field(row, columns.value);
    const std::optional<double> value = NumberIn(text);
    if (!value) csv.FailAt(row, columns.value, fmt::format("'{}' is not a number", text));
    const Position position = PositionAt(csv, row, columns);
    if (!table.empty() && position.amount <= table.back().first.amount) {
      csv.FailAt(row, columns.position,
                 fmt::format("positions must increase, but '{}' comes after {}", csv.Field(row, columns.position),
                             ToText(table.back().first)));
    }
    const size_t size = table.size();
    const bool repeats = size >= 2 && table[size - 1].second == *value && table[size - 2].second == *value;
    if (repeats) table.pop_back();
    table.emplace_back(position, *value);
    if (table.size() > kMostRows) {
      throw UserError(
          fmt::format("{} holds more than {} different values; keep every tenth row, say, with "
                      "reference.interpolation = \"linear\"",
                      path.string(), kMostRows));
    }
  }
  return table;
}

}  // namespace crescendo::config
