#include "crescendo/data/csv.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>

#include "crescendo/base/error.h"
#include "crescendo/base/nearest_name.h"
#include "crescendo/data/table.h"

namespace crescendo::data {
namespace {

// Consecutive rows of a table.
struct Rows {
  const Table* table;
  int64_t begin;
  int64_t size;

  std::string_view Field(int64_t i, int64_t column) const { return table->Field(begin + i, column); }
  [[noreturn]] void FailAt(int64_t i, int64_t column, std::string_view problem) const {
    table->FailAt(begin + i, column, problem);
  }
};

enum class ColumnKind { kNumber, kCategory, kLabel, kIgnored };

struct RowCounts {
  int64_t train;
  int64_t test;
};

void RequireTrainFile(const config::DataOptions& options) {
  if (options.train_file.empty()) throw UserError("data.name = csv needs data.train_file, the table to train on");
}

// `test_file_rows` has no value where there is no test file: the last rows of the train file are the test set.
RowCounts CountsToUse(const config::DataOptions& options, int64_t train_file_rows,
                      std::optional<int64_t> test_file_rows) {
  if (test_file_rows) {
    return {ExamplesToUse(options.train_examples, train_file_rows, "data.train_examples", options.train_file),
            ExamplesToUse(options.test_examples, *test_file_rows, "data.test_examples", options.test_file)};
  }
  if (options.test_examples == 0) {
    throw UserError(
        fmt::format("{} is all there is: give a data.test_file, or data.test_examples = K to test on its last K rows",
                    options.train_file));
  }
  if (options.test_examples >= train_file_rows) {
    throw UserError(fmt::format("data.test_examples = {} leaves no rows to train on: {} has {}", options.test_examples,
                                options.train_file, train_file_rows));
  }
  const int64_t available = train_file_rows - options.test_examples;
  return {ExamplesToUse(options.train_examples, available, "data.train_examples",
                        fmt::format("{} without its last {} rows", options.train_file, options.test_examples)),
          options.test_examples};
}

std::string ColumnText(const config::Column& column) {
  const auto* name = std::get_if<std::string>(&column);
  return name == nullptr ? std::to_string(std::get<int64_t>(column)) : fmt::format("\"{}\"", *name);
}

int64_t IndexOfName(const std::string& name, const char* key, const Table& table) {
  const std::vector<std::string> names(table.names().begin(), table.names().end());
  if (static_cast<int64_t>(names.size()) != table.columns()) {
    throw UserError(
        fmt::format("{} names column \"{}\", but the header of {} has {} names for {} columns; give the "
                    "column's number, from 0",
                    key, name, table.path().string(), names.size(), table.columns()));
  }
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    throw UserError(fmt::format("{} names column \"{}\", but the columns of {} are {}{}", key, name,
                                table.path().string(), fmt::join(names, ", "), DidYouMean(name, names)));
  }
  return found - names.begin();
}

int64_t ColumnIndex(const config::Column& column, const char* key, const Table& table) {
  if (const auto* name = std::get_if<std::string>(&column)) return IndexOfName(*name, key, table);
  const int64_t given = std::get<int64_t>(column);
  const int64_t index = given < 0 ? given + table.columns() : given;
  if (index < 0 || index >= table.columns()) {
    throw UserError(fmt::format("{} names column {}, but {} has {} columns: 0 to {}, or -1 for the last", key, given,
                                table.path().string(), table.columns(), table.columns() - 1));
  }
  return index;
}

std::vector<ColumnKind> KindsOfColumns(const config::DataOptions& options, const Table& table) {
  std::vector<ColumnKind> kinds(static_cast<size_t>(table.columns()), ColumnKind::kNumber);
  const auto set = [&](const config::Column& given, const char* key, ColumnKind kind) {
    ColumnKind& current = kinds[static_cast<size_t>(ColumnIndex(given, key, table))];
    if (current != ColumnKind::kNumber) {
      throw UserError(
          fmt::format("{} names column {}, which has a use already: a column is the label, categorical or ignored, "
                      "and named once",
                      key, ColumnText(given)));
    }
    current = kind;
  };
  set(options.label_column, "data.label_column", ColumnKind::kLabel);
  for (const config::Column& column : options.categorical_columns) {
    set(column, "data.categorical_columns", ColumnKind::kCategory);
  }
  for (const config::Column& column : options.ignored_columns) {
    set(column, "data.ignored_columns", ColumnKind::kIgnored);
  }
  return kinds;
}

// The whole text as a number; none where it is not one.
template <class Number>
std::optional<Number> ParseNumber(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  Number number;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// --- labels

using LabelNumbers = std::map<std::string_view, int64_t>;

LabelNumbers NumberTheLabels(const Rows& train, int64_t column) {
  std::set<std::string_view> names;
  for (int64_t i = 0; i < train.size; ++i) names.insert(train.Field(i, column));
  std::vector<std::string_view> sorted(names.begin(), names.end());
  if (std::all_of(sorted.begin(), sorted.end(), [](auto name) { return ParseNumber<int64_t>(name).has_value(); })) {
    std::stable_sort(sorted.begin(), sorted.end(), [](std::string_view a, std::string_view b) {
      return *ParseNumber<int64_t>(a) < *ParseNumber<int64_t>(b);
    });
  }
  LabelNumbers numbers;
  for (std::string_view name : sorted) numbers.emplace(name, static_cast<int64_t>(numbers.size()));
  return numbers;
}

at::Tensor EncodeLabels(const Rows& rows, int64_t column, const LabelNumbers& numbers, const std::string& missing) {
  at::Tensor labels = at::empty({rows.size}, at::kLong);
  int64_t* label = labels.mutable_data_ptr<int64_t>();
  for (int64_t i = 0; i < rows.size; ++i) {
    const std::string_view field = rows.Field(i, column);
    if (field.empty() || field == missing) rows.FailAt(i, column, "the label is missing");
    auto found = numbers.find(field);
    if (found == numbers.end() && field.ends_with('.')) found = numbers.find(field.substr(0, field.size() - 1));
    if (found == numbers.end())
      rows.FailAt(i, column, fmt::format("the label '{}' is not one of the train set's", field));
    label[i] = found->second;
  }
  return labels;
}

// --- inputs

// The numbers of a column; NaN where missing.
std::vector<double> ParseColumn(const Rows& rows, int64_t column, const std::string& missing) {
  std::vector<double> values(static_cast<size_t>(rows.size));
  for (int64_t i = 0; i < rows.size; ++i) {
    const std::string_view field = rows.Field(i, column);
    if (field == missing) {
      values[i] = std::numeric_limits<double>::quiet_NaN();
      continue;
    }
    const std::optional<double> number = ParseNumber<double>(field);
    if (!number || !std::isfinite(*number)) {
      rows.FailAt(i, column,
                  fmt::format("'{}' is not a number; a column of names belongs into data.categorical_columns, and what "
                              "stands for a missing field is data.missing (now '{}'){}",
                              field, missing,
                              rows.begin + i == 0 && rows.table->names().empty()
                                  ? "; a first line that holds the columns' names wants data.header = true"
                                  : ""));
    }
    values[i] = *number;
  }
  return values;
}

struct Scale {
  double mean = 0;
  double deviation = 0;
};

Scale MeasureScale(const std::vector<double>& values) {
  Scale scale;
  double count = 0;
  for (double value : values) {
    if (std::isnan(value)) continue;
    ++count;
    scale.mean += (value - scale.mean) / count;
  }
  double squares = 0;
  for (double value : values) {
    if (!std::isnan(value)) squares += (value - scale.mean) * (value - scale.mean);
  }
  if (count > 0) scale.deviation = std::sqrt(squares / count);
  return scale;
}

// inputs: zeros [N, F]; writes input number `input` of each row.
void EncodeNumbers(const std::vector<double>& values, const Scale& scale, int64_t input, at::Tensor& inputs) {
  if (scale.deviation == 0) return;
  float* target = inputs.mutable_data_ptr<float>() + input;
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isnan(values[i]))
      target[i * inputs.size(1)] = static_cast<float>((values[i] - scale.mean) / scale.deviation);
  }
}

using Categories = std::map<std::string_view, int64_t>;

Categories NumberTheCategories(const Rows& train, int64_t column) {
  Categories categories;
  for (int64_t i = 0; i < train.size; ++i) categories.emplace(train.Field(i, column), 0);
  int64_t next = 0;
  for (auto& [name, number] : categories) number = next++;
  return categories;
}

void EncodeCategories(const Rows& rows, int64_t column, const Categories& categories, int64_t first_input,
                      at::Tensor& inputs) {
  float* target = inputs.mutable_data_ptr<float>() + first_input;
  for (int64_t i = 0; i < rows.size; ++i) {
    const auto found = categories.find(rows.Field(i, column));
    if (found != categories.end()) target[i * inputs.size(1) + found->second] = 1;
  }
}

}  // namespace

int64_t CountTrainRows(const config::DataOptions& options) {
  RequireTrainFile(options);
  std::optional<int64_t> test_rows;
  if (!options.test_file.empty()) test_rows = CountRows(options.test_file, options);
  const Table train_table(options.train_file, options);
  KindsOfColumns(options, train_table);  // a plan says what training would refuse
  return CountsToUse(options, train_table.rows(), test_rows).train;
}

DatasetPair LoadTable(const config::DataOptions& options) {
  RequireTrainFile(options);
  const Table train_table(options.train_file, options);
  std::optional<Table> test_table;
  if (!options.test_file.empty()) {
    test_table.emplace(options.test_file, options);
    if (test_table->columns() != train_table.columns()) {
      throw UserError(fmt::format("{} has {} columns, but {} has {}", options.test_file, test_table->columns(),
                                  options.train_file, train_table.columns()));
    }
  }
  const RowCounts counts =
      CountsToUse(options, train_table.rows(), test_table ? std::optional(test_table->rows()) : std::nullopt);
  const Rows train{&train_table, 0, counts.train};
  const Rows test = test_table ? Rows{&*test_table, 0, counts.test}
                               : Rows{&train_table, train_table.rows() - counts.test, counts.test};

  const std::vector<ColumnKind> kinds = KindsOfColumns(options, train_table);
  std::map<int64_t, Categories> categories;
  int64_t input_count = 0;
  for (int64_t column = 0; column < train_table.columns(); ++column) {
    if (kinds[column] == ColumnKind::kNumber) ++input_count;
    if (kinds[column] != ColumnKind::kCategory) continue;
    categories[column] = NumberTheCategories(train, column);
    input_count += static_cast<int64_t>(categories[column].size());
  }
  if (input_count == 0) throw UserError(fmt::format("{} has no column left as an input", options.train_file));

  DatasetPair data;
  data.train.inputs = at::zeros({train.size, input_count}, at::kFloat);
  data.test.inputs = at::zeros({test.size, input_count}, at::kFloat);
  int64_t input = 0;
  for (int64_t column = 0; column < train_table.columns(); ++column) {
    switch (kinds[column]) {
      case ColumnKind::kNumber: {
        const std::vector<double> values = ParseColumn(train, column, options.missing);
        const Scale scale = MeasureScale(values);
        EncodeNumbers(values, scale, input, data.train.inputs);
        EncodeNumbers(ParseColumn(test, column, options.missing), scale, input, data.test.inputs);
        ++input;
        break;
      }
      case ColumnKind::kCategory:
        EncodeCategories(train, column, categories[column], input, data.train.inputs);
        EncodeCategories(test, column, categories[column], input, data.test.inputs);
        input += static_cast<int64_t>(categories[column].size());
        break;
      case ColumnKind::kLabel: {
        const LabelNumbers numbers = NumberTheLabels(train, column);
        data.train.labels = EncodeLabels(train, column, numbers, options.missing);
        data.test.labels = EncodeLabels(test, column, numbers, options.missing);
        data.train.classes = data.test.classes = static_cast<int64_t>(numbers.size());
        break;
      }
      case ColumnKind::kIgnored:
        break;
    }
  }
  if (data.train.classes < 2) {
    throw UserError(fmt::format("all labels of {} are the same: column {} (data.label_column) may not be the class",
                                options.train_file, ColumnText(options.label_column)));
  }
  data.train.name = data.test.name = train_table.path().filename().string();
  return data;
}

}  // namespace crescendo::data
