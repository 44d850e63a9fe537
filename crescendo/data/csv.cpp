#include "crescendo/data/csv.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
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
#include <utility>

#include "crescendo/base/csv_table.h"
#include "crescendo/base/error.h"
#include "crescendo/base/nearest_name.h"
#include "crescendo/data/unpacked_file.h"

namespace crescendo::data {
namespace {

// Consecutive rows of a table.
struct Rows {
  const CsvTable* table;
  int64_t begin;
  int64_t size;

  std::string_view Field(int64_t i, int64_t column) const { return table->Field(begin + i, column); }
  [[noreturn]] void FailAt(int64_t i, int64_t column, std::string_view problem) const {
    table->FailAt(begin + i, column, problem);
  }
};

struct RowCounts {
  int64_t train;
  int64_t test;
};

void RequireTrainFile(const config::DataOptions& options) {
  if (options.train_file.empty()) throw UserError("data.name = csv needs data.train_file, the table to train on");
}

// Of options without a test file.
void RequireTestRows(const config::DataOptions& options) {
  if (options.test_examples != 0) return;
  throw UserError(
      fmt::format("{} is all there is: give a data.test_file, or data.test_examples = K to test on its last K rows",
                  options.train_file));
}

// `test_file_rows` has no value where there is no test file: the last rows of the train file are the test set.
RowCounts CountsToUse(const config::DataOptions& options, int64_t train_file_rows,
                      std::optional<int64_t> test_file_rows) {
  if (test_file_rows) {
    return {ExamplesToUse(options.train_examples, train_file_rows, "data.train_examples", options.train_file),
            ExamplesToUse(options.test_examples, *test_file_rows, "data.test_examples", options.test_file)};
  }
  RequireTestRows(options);
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

// Where the header has `name` more than once, neither is meant for sure.
void RequireOnce(const std::string& name, const char* key, const std::vector<std::string>& names,
                 const CsvTable& table) {
  std::vector<size_t> places;
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) places.push_back(i);
  }
  if (places.size() < 2) return;
  throw UserError(
      fmt::format("{} names column \"{}\", and the header of {} has that name {} times: columns {}, counted from 0; "
                  "give the number of the one that is meant",
                  key, name, table.path().string(), places.size(), fmt::join(places, ", ")));
}

int64_t IndexOfName(const std::string& name, const char* key, const CsvTable& table) {
  const std::vector<std::string> names(table.names().begin(), table.names().end());
  if (static_cast<int64_t>(names.size()) != table.columns()) {
    throw UserError(
        fmt::format("{} names column \"{}\", but the header of {} has {} names for {} columns; give the "
                    "column's number, from 0",
                    key, name, table.path().string(), names.size(), table.columns()));
  }
  RequireOnce(name, key, names, table);
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    throw UserError(fmt::format("{} names column \"{}\", but the columns of {} are {}{}", key, name,
                                table.path().string(), fmt::join(names, ", "), DidYouMean(name, names)));
  }
  return found - names.begin();
}

int64_t ColumnIndex(const config::Column& column, const char* key, const CsvTable& table) {
  if (const auto* name = std::get_if<std::string>(&column)) return IndexOfName(*name, key, table);
  const int64_t given = std::get<int64_t>(column);
  const int64_t index = given < 0 ? given + table.columns() : given;
  if (index < 0 || index >= table.columns()) {
    throw UserError(fmt::format("{} names column {}, but {} has {} columns: 0 to {}, or -1 for the last", key, given,
                                table.path().string(), table.columns(), table.columns() - 1));
  }
  return index;
}

std::vector<ColumnUse> UsesOfColumns(const config::DataOptions& options, const CsvTable& table) {
  std::vector<ColumnUse> uses(static_cast<size_t>(table.columns()), ColumnUse::kNumber);
  const auto set = [&](const config::Column& given, const char* key, ColumnUse use) {
    ColumnUse& current = uses[static_cast<size_t>(ColumnIndex(given, key, table))];
    if (current != ColumnUse::kNumber) {
      throw UserError(
          fmt::format("{} names column {}, which has a use already: a column is the label, categorical or ignored, "
                      "and named once",
                      key, ColumnText(given)));
    }
    current = use;
  };
  set(options.label_column, "data.label_column", ColumnUse::kLabel);
  for (const config::Column& column : options.categorical_columns) {
    set(column, "data.categorical_columns", ColumnUse::kCategory);
  }
  for (const config::Column& column : options.ignored_columns) {
    set(column, "data.ignored_columns", ColumnUse::kIgnored);
  }
  return uses;
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

// What is wrong with a field that may stand in the line of the columns' names.
std::string HeaderHint(const Rows& rows, int64_t i) {
  return rows.begin + i == 0 && rows.table->names().empty()
             ? "; a first line that holds the columns' names wants data.header = true"
             : "";
}

// Each name's place in `names`, whose texts are looked into.
using Numbers = std::map<std::string_view, int64_t>;

Numbers NumberOf(const std::vector<std::string>& names) {
  Numbers numbers;
  for (const std::string& name : names) numbers.emplace(name, static_cast<int64_t>(numbers.size()));
  return numbers;
}

// The names in a column, each once, in the order of their bytes.
std::vector<std::string> NamesIn(const Rows& rows, int64_t column) {
  std::set<std::string_view> names;
  for (int64_t i = 0; i < rows.size; ++i) names.insert(rows.Field(i, column));
  return {names.begin(), names.end()};
}

// --- labels

std::vector<std::string> ClassesIn(const Rows& rows, int64_t column) {
  std::vector<std::string> names = NamesIn(rows, column);
  if (std::all_of(names.begin(), names.end(), [](auto& name) { return ParseNumber<int64_t>(name).has_value(); })) {
    std::stable_sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
      return *ParseNumber<int64_t>(a) < *ParseNumber<int64_t>(b);
    });
  }
  return names;
}

at::Tensor EncodeLabels(const Rows& rows, int64_t column, const std::vector<std::string>& classes,
                        const std::string& missing, Labels wanted) {
  const Numbers numbers = NumberOf(classes);
  at::Tensor labels = at::empty({rows.size}, at::kLong);
  int64_t* label = labels.mutable_data_ptr<int64_t>();
  for (int64_t i = 0; i < rows.size; ++i) {
    const std::string_view field = rows.Field(i, column);
    auto found = numbers.find(field);
    if (found == numbers.end() && field.ends_with('.')) found = numbers.find(field.substr(0, field.size() - 1));
    const bool is_missing = field.empty() || field == missing;
    const bool is_known = found != numbers.end() && !is_missing;
    if (!is_known && wanted == Labels::kRequired) {
      rows.FailAt(i, column,
                  is_missing
                      ? "the label is missing"
                      : fmt::format("the label '{}' is not one of the train set's{}", field, HeaderHint(rows, i)));
    }
    label[i] = is_known ? found->second : kNoLabel;
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
                              field, missing, HeaderHint(rows, i)));
    }
    values[i] = *number;
  }
  return values;
}

// Sets mean and deviation.
void MeasureScale(const std::vector<double>& values, ColumnEncoding& encoding) {
  double count = 0;
  for (double value : values) {
    if (std::isnan(value)) continue;
    ++count;
    encoding.mean += (value - encoding.mean) / count;
  }
  double squares = 0;
  for (double value : values) {
    if (!std::isnan(value)) squares += (value - encoding.mean) * (value - encoding.mean);
  }
  if (count > 0) encoding.deviation = std::sqrt(squares / count);
}

// inputs: zeros [N, F]; writes input number `input` of each row.
void EncodeNumbers(const Rows& rows, int64_t column, const std::string& missing, const ColumnEncoding& encoding,
                   int64_t input, at::Tensor& inputs) {
  const std::vector<double> values = ParseColumn(rows, column, missing);
  if (encoding.deviation == 0) return;
  float* target = inputs.mutable_data_ptr<float>() + input;
  for (int64_t i = 0; i < rows.size; ++i) {
    if (std::isnan(values[i])) continue;
    const auto scaled = static_cast<float>((values[i] - encoding.mean) / encoding.deviation);
    if (!std::isfinite(scaled)) {
      rows.FailAt(i, column,
                  fmt::format("'{}' is too large beside the train set's numbers, whose mean is {:.6g} and "
                              "deviation {:.6g}",
                              rows.Field(i, column), encoding.mean, encoding.deviation));
    }
    target[i * inputs.size(1)] = scaled;
  }
}

void EncodeCategories(const Rows& rows, int64_t column, const std::vector<std::string>& names, int64_t first_input,
                      at::Tensor& inputs) {
  const Numbers numbers = NumberOf(names);
  float* target = inputs.mutable_data_ptr<float>() + first_input;
  for (int64_t i = 0; i < rows.size; ++i) {
    const auto found = numbers.find(rows.Field(i, column));
    if (found != numbers.end()) target[i * inputs.size(1) + found->second] = 1;
  }
}

// --- the encoding

ColumnEncoding MeasureColumn(const Rows& train, int64_t column, ColumnUse use, const std::string& missing) {
  ColumnEncoding encoding{.use = use, .names = {}};
  switch (use) {
    case ColumnUse::kNumber:
      MeasureScale(ParseColumn(train, column, missing), encoding);
      if (!std::isfinite(encoding.mean) || !std::isfinite(encoding.deviation)) {
        train.FailAt(0, column, "this column's numbers are too large to have a mean and a deviation; scale them down");
      }
      break;
    case ColumnUse::kCategory:
      encoding.names = NamesIn(train, column);
      break;
    case ColumnUse::kLabel:
      encoding.names = ClassesIn(train, column);
      break;
    case ColumnUse::kIgnored:
      break;
  }
  return encoding;
}

TableEncoding MeasureEncoding(const Rows& train, const config::DataOptions& options) {
  const CsvTable& table = *train.table;
  const std::vector<ColumnUse> uses = UsesOfColumns(options, table);
  TableEncoding encoding;
  encoding.header.assign(table.names().begin(), table.names().end());
  encoding.missing = options.missing;
  for (int64_t column = 0; column < table.columns(); ++column) {
    encoding.columns.push_back(MeasureColumn(train, column, uses[column], options.missing));
  }
  if (encoding.input_count() == 0) {
    throw UserError(fmt::format("{} has no column left as an input", options.train_file));
  }
  return encoding;
}

// The rows as they are trained and tested on. Their table has the encoding's columns, but perhaps for the label's.
Dataset Encode(const Rows& rows, const TableEncoding& encoding, Labels labels = Labels::kRequired) {
  const bool has_label = rows.table->columns() == std::ssize(encoding.columns);
  Dataset data;
  data.name = rows.table->path().filename().string();
  data.inputs = at::zeros({rows.size, encoding.input_count()}, at::kFloat);
  int64_t input = 0;
  int64_t column = 0;
  for (const ColumnEncoding& of_column : encoding.columns) {
    switch (of_column.use) {
      case ColumnUse::kNumber:
        EncodeNumbers(rows, column, encoding.missing, of_column, input, data.inputs);
        ++input;
        break;
      case ColumnUse::kCategory:
        EncodeCategories(rows, column, of_column.names, input, data.inputs);
        input += static_cast<int64_t>(of_column.names.size());
        break;
      case ColumnUse::kLabel:
        data.labels = has_label ? EncodeLabels(rows, column, of_column.names, encoding.missing, labels)
                                : at::full({rows.size}, kNoLabel, at::kLong);
        data.classes = static_cast<int64_t>(of_column.names.size());
        if (!has_label) continue;  // the next column stands where this one would
        break;
      case ColumnUse::kIgnored:
        break;
    }
    ++column;
  }
  return data;
}

// --- headers

// What a second table must have in common with the first.
struct Layout {
  std::string source;  // as messages name it
  std::vector<std::string> names;
  int64_t columns;
};

Layout LayoutOf(const CsvTable& table) {
  return {table.path().string(), {table.names().begin(), table.names().end()}, table.columns()};
}

Layout WithoutLabel(Layout layout, const TableEncoding& encoding) {
  const int64_t label = LabelColumn(encoding);
  if (label < std::ssize(layout.names)) layout.names.erase(layout.names.begin() + label);
  --layout.columns;
  return layout;
}

std::string NameAt(const std::vector<std::string>& names, size_t column) {
  return column < names.size() ? fmt::format("\"{}\"", names[column]) : "without a name";
}

// Columns are told apart by their places, so `table` must have them in the places of `expected`. Names can be compared
// only where both have some.
void RequireLayout(const CsvTable& table, const Layout& expected) {
  const Layout given = LayoutOf(table);
  if (given.columns != expected.columns) {
    throw UserError(fmt::format("{} has {} columns, but {} has {}", given.source, given.columns, expected.source,
                                expected.columns));
  }
  if (given.names.empty() || expected.names.empty() || given.names == expected.names) return;
  const auto [in_given, in_expected] =
      std::mismatch(given.names.begin(), given.names.end(), expected.names.begin(), expected.names.end());
  const auto column = static_cast<size_t>(in_given - given.names.begin());
  throw UserError(fmt::format(
      "the columns of {} are not those of {}: column {} ({}, counted from 0) is {} in its header, "
      "and {} there; both need the same names in the same order; where a file has no line of names, give it one, or "
      "take it from the other, with data.header = false",
      given.source, expected.source, column + 1, column, NameAt(given.names, column), NameAt(expected.names, column)));
}

// Where data.header was forgotten: nothing in the first row says that it is an example. A column's number counts as a
// name: so do programs name columns that have none.
bool LooksLikeHeader(const CsvTable& table, const std::vector<ColumnUse>& uses) {
  if (!table.names().empty() || table.rows() < 2) return false;
  const auto occurs_again = [&](int64_t column) {
    for (int64_t row = 1; row < table.rows(); ++row) {
      if (table.Field(row, column) == table.Field(0, column)) return true;
    }
    return false;
  };
  for (int64_t column = 0; column < table.columns(); ++column) {
    const ColumnUse use = uses[column];
    if (use == ColumnUse::kIgnored) continue;
    if (use == ColumnUse::kNumber && table.Field(0, column) != std::to_string(column)) return false;
    if (use != ColumnUse::kNumber && occurs_again(column)) return false;
  }
  return true;
}

std::vector<std::string> WarningsOf(const CsvTable& table, const TableEncoding& encoding) {
  std::vector<ColumnUse> uses;
  for (const ColumnEncoding& column : encoding.columns) uses.push_back(column.use);
  if (!LooksLikeHeader(table, uses)) return {};
  const auto label = std::find(uses.begin(), uses.end(), ColumnUse::kLabel) - uses.begin();
  return {
      fmt::format("the first row of {} looks like the columns' names and is trained on as an example: its label "
                  "'{}' and its other names occur in no other row; if it is a header, data.header = true",
                  table.path().string(), table.Field(0, label))};
}

// --- the files

struct Tables {
  CsvTable train;
  std::optional<CsvTable> test;
  RowCounts counts;

  Rows TrainRows() const { return {&train, 0, counts.train}; }
  Rows TestRows() const {
    return test ? Rows{&*test, 0, counts.test} : Rows{&train, train.rows() - counts.test, counts.test};
  }
};

CsvTable ReadTable(const std::string& file, const config::DataOptions& options, int64_t least_columns = 2) {
  CsvTable table(file, ReadUnpackedFile(file),
                 {.header = options.header, .comment = options.comment, .comment_option = "data.comment"});
  if (table.columns() < least_columns) {
    throw UserError(fmt::format(
        "{}: every row has one column, and a table needs a label and an input, with a comma between them", file));
  }
  return table;
}

Tables ReadTables(const config::DataOptions& options) {
  RequireTrainFile(options);
  Tables tables{ReadTable(options.train_file, options), std::nullopt, {}};
  std::optional<int64_t> test_file_rows;
  if (!options.test_file.empty()) {
    tables.test.emplace(ReadTable(options.test_file, options));
    RequireLayout(*tables.test, LayoutOf(tables.train));
    test_file_rows = tables.test->rows();
  }
  tables.counts = CountsToUse(options, tables.train.rows(), test_file_rows);
  return tables;
}

}  // namespace

int64_t LabelColumn(const TableEncoding& encoding) {
  return std::ranges::find(encoding.columns, ColumnUse::kLabel, &ColumnEncoding::use) - encoding.columns.begin();
}

int64_t CountTrainRows(const config::DataOptions& options) {
  const Tables tables = ReadTables(options);
  UsesOfColumns(options, tables.train);  // a plan says what training would refuse
  return tables.counts.train;
}

DatasetPair LoadTable(const config::DataOptions& options) {
  const Tables tables = ReadTables(options);
  TableEncoding encoding = MeasureEncoding(tables.TrainRows(), options);
  DatasetPair data;
  data.train = Encode(tables.TrainRows(), encoding);
  data.test = Encode(tables.TestRows(), encoding);
  if (data.train.classes < 2) {
    throw UserError(fmt::format("all labels of {} are the same: column {} (data.label_column) may not be the class",
                                options.train_file, ColumnText(options.label_column)));
  }
  data.test.name = data.train.name;
  data.warnings = WarningsOf(tables.train, encoding);
  data.table = std::move(encoding);
  return data;
}

TestRows LoadTestRows(const config::DataOptions& options, const TableEncoding& encoding, Labels labels) {
  const bool of_train_file = options.test_file.empty();
  if (of_train_file) {
    RequireTrainFile(options);
    RequireTestRows(options);
  }
  const std::string& file = of_train_file ? options.train_file : options.test_file;
  const int64_t columns = std::ssize(encoding.columns);
  const CsvTable table = ReadTable(file, options, labels == Labels::kRequired ? 2 : 1);
  TestRows test;
  Layout expected{"the table that was trained on", encoding.header, columns};
  if (labels == Labels::kOptional && table.columns() == columns - 1) {
    expected = WithoutLabel(expected, encoding);
    if (table.names().empty() || expected.names.empty()) {
      test.warnings.push_back(fmt::format(
          "{} has one column less than the table that was trained on: that of the label, column {}, is taken to be the "
          "one that is missing",
          file, LabelColumn(encoding) + 1));
    }
  }
  RequireLayout(table, expected);
  const int64_t count = ExamplesToUse(options.test_examples, table.rows(), "data.test_examples", file);
  test.rows = Encode({&table, of_train_file ? table.rows() - count : 0, count}, encoding, labels);
  return test;
}

}  // namespace crescendo::data
