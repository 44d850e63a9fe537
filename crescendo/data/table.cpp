#include "crescendo/data/table.h"

#include <fmt/format.h>

#include <span>
#include <utility>

#include "crescendo/base/error.h"
#include "crescendo/data/unpacked_file.h"

namespace crescendo::data {
namespace {

constexpr bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::string_view WithoutBlanks(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

[[noreturn]] void Fail(const std::filesystem::path& path, int64_t line, int64_t column, std::string_view problem) {
  throw UserError(fmt::format("{}, line {}, column {} ({} in the config, which counts from 0): {}", path.string(), line,
                              column + 1, column, problem));
}

// What separates the fields of a line without commas, or "".
std::string_view LikelySeparator(std::string_view line) {
  for (const auto& [separator, name] :
       {std::pair(';', "';'"), std::pair('\t', "a tab"), std::pair('|', "'|'"), std::pair(' ', "a space")}) {
    if (line.find(separator) != line.npos) return name;
  }
  return "";
}

// visit(line, number, is_header) for each line that holds a row, or names.
template <class Visitor>
void ForEachRow(std::string& text, const config::DataOptions& options, Visitor&& visit) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  bool header = options.header;
  int64_t number = 0;
  for (size_t begin = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::span<char> line(text.data() + begin, end - begin);
    const std::string_view view(line.data(), line.size());
    begin = end + 1;
    ++number;
    if (WithoutBlanks(view).empty()) continue;
    if (!options.comment.empty() && view.starts_with(options.comment)) continue;
    visit(line, number, std::exchange(header, false));
  }
}

// Cuts `line` into fields. Doubled quotes are made single in place.
void AppendFields(std::span<char> line, int64_t number, const std::filesystem::path& path,
                  std::vector<std::string_view>& fields) {
  int64_t column = 0;
  for (size_t i = 0;; ++i, ++column) {
    while (i < line.size() && IsBlank(line[i])) ++i;
    const size_t begin = i;
    if (i < line.size() && line[i] == '"') {
      size_t written = begin;
      for (++i;; ++i) {
        if (i >= line.size()) Fail(path, number, column, "a quote is not closed");
        if (line[i] == '"') {
          const bool doubled = i + 1 < line.size() && line[i + 1] == '"';
          if (!doubled) break;
          ++i;
        }
        line[written++] = line[i];
      }
      fields.emplace_back(line.data() + begin, written - begin);
      for (++i; i < line.size() && IsBlank(line[i]);) ++i;
      if (i < line.size() && line[i] != ',') Fail(path, number, column, "text after a closing quote");
    } else {
      while (i < line.size() && line[i] != ',') ++i;
      fields.push_back(WithoutBlanks({line.data() + begin, i - begin}));
    }
    if (i >= line.size()) return;
  }
}

}  // namespace

Table::Table(const std::filesystem::path& path, const config::DataOptions& options)
    : path_(path), text_(std::make_unique<std::string>(ReadUnpackedFile(path))) {
  std::string_view first;
  ForEachRow(*text_, options, [&](std::span<char> line, int64_t number, bool is_header) {
    if (is_header) return AppendFields(line, number, path_, names_);
    const size_t before = fields_.size();
    AppendFields(line, number, path_, fields_);
    const int64_t columns = static_cast<int64_t>(fields_.size() - before);
    if (lines_.empty()) {
      columns_ = columns;
      first = {line.data(), line.size()};
    }
    if (columns != columns_) {
      throw UserError(
          fmt::format("{}, line {}: the row has {} {}, the first row (line {}) has {}{}", path_.string(), number,
                      columns, columns == 1 ? "column" : "columns", lines_.front(), columns_,
                      options.comment.empty() ? "; if this is a comment, say how comments begin: data.comment" : ""));
    }
    lines_.push_back(number);
  });
  if (lines_.empty()) throw UserError(fmt::format("{} holds no rows", path_.string()));
  if (columns_ == 1) {
    const std::string_view separator = LikelySeparator(WithoutBlanks(first));
    throw UserError(fmt::format(
        "{}: every row has one column, and a table needs a label and an input, with a comma between them{}",
        path_.string(), separator.empty() ? "" : fmt::format("; is the separator {}? Write commas there", separator)));
  }
}

void Table::FailAt(int64_t row, int64_t column, std::string_view problem) const {
  Fail(path_, lines_[row], column, problem);
}

int64_t CountRows(const std::filesystem::path& path, const config::DataOptions& options) {
  std::string text = ReadUnpackedFile(path);
  int64_t rows = 0;
  ForEachRow(text, options, [&](std::span<char>, int64_t, bool is_header) { rows += is_header ? 0 : 1; });
  return rows;
}

}  // namespace crescendo::data
