// How the rows of a table become inputs and classes: measured on the train rows (csv.h), then the same for every row.
// Kept with the weights, since they mean something only for inputs made so.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "crescendo/base/enum_names.h"

namespace crescendo::data {

enum class ColumnUse { kNumber, kCategory, kLabel, kIgnored };

struct ColumnEncoding {
  ColumnUse use = ColumnUse::kNumber;

  // A number's: the input is (number - mean) / deviation, or 0 where the deviation is 0.
  double mean = 0;
  double deviation = 0;

  // A category's: one input each, in this order. The label's: the classes, in the order of their numbers.
  std::vector<std::string> names;

  friend bool operator==(const ColumnEncoding&, const ColumnEncoding&) = default;
};

struct TableEncoding {
  std::vector<std::string> header;  // the columns' names; empty where the train file has none
  std::string missing;              // a field that reads so is missing
  std::vector<ColumnEncoding> columns;

  int64_t input_count() const;

  friend bool operator==(const TableEncoding&, const TableEncoding&) = default;
};

// docs/formats/weights.md. Numbers come back in the same bits, and texts in the same bytes, of whatever encoding they
// are.
std::string ToJsonText(const TableEncoding& encoding);

// UserError that says what is wrong with the text.
TableEncoding ParseTableEncoding(std::string_view json);

}  // namespace crescendo::data

namespace crescendo {

template <>
inline constexpr auto kEnumCases<data::ColumnUse> = std::to_array<EnumCase<data::ColumnUse>>({
    {data::ColumnUse::kNumber, "number", "one input, scaled"},
    {data::ColumnUse::kCategory, "category", "one input for each name"},
    {data::ColumnUse::kLabel, "label", "the class"},
    {data::ColumnUse::kIgnored, "ignored", "not used"},
});

}  // namespace crescendo
