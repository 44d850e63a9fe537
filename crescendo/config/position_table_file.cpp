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
#include "crescendo/config/value_codec.h"

namespace crescendo::config {
namespace {

struct UnitName {
  std::string_view name;
  Position::Unit unit;
};
// The most exact first.
constexpr UnitName kUnitNames[] = {{"sample", Position::Unit::kExamples},   {"example", Position::Unit::kExamples},
                                   {"step", Position::Unit::kBatches},      {"update", Position::Unit::kBatches},
                                   {"iteration", Position::Unit::kBatches}, {"epoch", Position::Unit::kEpochs}};

// What the column of the values may be called, and what such a name has in it.
struct ValueNames {
  std::vector<std::string_view> whole;
  std::vector<std::string_view> parts;
};

ValueNames NamesFor(std::string_view key) {
  if (key.find("momentum") != std::string_view::npos) return {{"momentum", "value"}, {"momentum"}};
  return {{"learning_rate", "lr", "value"}, {"lr", "rate"}};
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

std::optional<double> NumberIn(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) return std::nullopt;
  return number;
}

// The names of a table's columns, to find one in.
class Header {
 public:
  explicit Header(const CsvTable& table) : table_(table) {
    for (const std::string_view name : table.names()) names_.push_back(Lower(name));
  }

  // None where no column is called so.
  std::optional<int64_t> Find(std::string_view name) const {
    const auto found = std::ranges::find(names_, name);
    if (found == names_.end()) return std::nullopt;
    if (std::ranges::count(names_, name) > 1) {
      throw UserError(fmt::format("{}: its first line names more than one column {}", table_.path().string(), name));
    }
    return found - names_.begin();
  }

  // The only column with one of `parts` in its name. Weights & Biases puts __MIN and __MAX beside each column.
  std::optional<int64_t> FindPart(const std::vector<std::string_view>& parts) const {
    std::optional<int64_t> found;
    for (int64_t i = 0; i < std::ssize(names_); ++i) {
      const std::string& name = names_[static_cast<size_t>(i)];
      if (name.ends_with("__min") || name.ends_with("__max")) continue;
      if (std::ranges::none_of(parts, [&](auto part) { return name.find(part) != std::string::npos; })) continue;
      if (found) return std::nullopt;
      found = i;
    }
    return found;
  }

 private:
  const CsvTable& table_;
  std::vector<std::string> names_;
};

struct Columns {
  int64_t position;
  Position::Unit unit;
  int64_t value;
};

Columns ColumnsOf(const CsvTable& table, const ValueNames& value_names) {
  const Header header(table);
  std::optional<int64_t> position;
  Position::Unit unit = Position::Unit::kEpochs;
  for (const UnitName& known : kUnitNames) {
    if (position) break;
    position = header.Find(known.name);
    if (!position) position = header.Find(fmt::format("{}s", known.name));
    unit = known.unit;
  }
  std::optional<int64_t> value;
  for (const std::string_view name : value_names.whole) {
    if (!value) value = header.Find(name);
  }
  if (!value) value = header.FindPart(value_names.parts);
  if (position && value && std::ssize(table.names()) == table.columns()) return {*position, unit, *value};
  throw UserError(fmt::format(
      "{}: its first line must name its columns, {} of them: one step, epoch or sample, for "
      "positions, and one {}; it has {}",
      table.path().string(), table.columns(), fmt::join(value_names.whole, " or "), fmt::join(table.names(), ", ")));
}

Position PositionAt(const CsvTable& table, int64_t row, const Columns& columns) {
  const std::string_view text = table.Field(row, columns.position);
  const std::optional<double> amount = NumberIn(text);
  if (!amount || std::signbit(*amount)) {
    table.FailAt(row, columns.position, fmt::format("'{}' is not a position", text));
  }
  if (columns.unit == Position::Unit::kBatches && *amount != std::floor(*amount)) {
    table.FailAt(row, columns.position, fmt::format("'{}' is not a whole number of steps", text));
  }
  return {*amount, columns.unit};
}

double ValueAt(const CsvTable& table, int64_t row, const Columns& columns, const Description& description) {
  const std::string_view text = table.Field(row, columns.value);
  const std::optional<double> value = NumberIn(text);
  if (!value) table.FailAt(row, columns.value, fmt::format("'{}' is not a number", text));
  if (*value < description.minimum || *value > description.maximum) {
    table.FailAt(row, columns.value, fmt::format("'{}': it must be {}", text, BoundsText(description)));
  }
  return *value;
}

std::string ReadText(const std::filesystem::path& path) {
  std::string text = ReadFile(path);
  if (text.starts_with("\x1f\x8b") || text.find('\0') != std::string::npos) {
    throw UserError(fmt::format("{} is no text; a table of positions is read from a CSV file as it is, not compressed",
                                path.string()));
  }
  return text;
}

}  // namespace

PositionTable ReadPositionTable(const std::filesystem::path& path, std::string_view key,
                                const Description& description) {
  const CsvTable csv(path, ReadText(path), {.header = true, .comment = "#"});
  const Columns columns = ColumnsOf(csv, NamesFor(key));
  PositionTable table;
  for (int64_t row = 0; row < csv.rows(); ++row) {
    const double value = ValueAt(csv, row, columns, description);
    const Position position = PositionAt(csv, row, columns);
    if (!table.empty() && position.amount <= table.back().first.amount) {
      csv.FailAt(row, columns.position,
                 fmt::format("positions must increase, but '{}' comes after {}", csv.Field(row, columns.position),
                             ToText(table.back().first)));
    }
    const size_t size = table.size();
    const bool repeats = size >= 2 && table[size - 1].second == value && table[size - 2].second == value;
    if (repeats) table.pop_back();
    table.emplace_back(position, value);
  }
  return table;
}

}  // namespace crescendo::config
