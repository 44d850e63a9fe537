#include "crescendo/base/csv_table.h"

#include <fmt/format.h>

#include <span>
#include <utility>

#include "crescendo/base/error.h"

namespace crescendo {
namespace {

constexpr bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::string_view WithoutBlanks(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

[[noreturn]] void Fail(const std::filesystem::path& path, int64_t line, int64_t column, std::string_view problem) {
  throw UserError(
      fmt::format("{}, line {}, column {} ({}, counted from 0): {}", path.string(), line, column + 1, column, problem));
}

struct Separator {
  char character;
  const char* name;
  const char* in_python;
};
constexpr Separator kForeignSeparators[] = {
    {';', "';'", "';'"}, {'\t', "a tab", "'\\t'"}, {'|', "'|'", "'|'"}, {' ', "a space", "' '"}};

// What separates the fields of a line without commas; nullptr where nothing does. A line that only begins with it is
// more likely a comment.
const Separator* LikelySeparator(std::string_view line) {
  for (const Separator& separator : kForeignSeparators) {
    if (line.find(separator.character, 1) != line.npos) return &separator;
  }
  return nullptr;
}

[[noreturn]] void FailForSeparator(const std::filesystem::path& path, int64_t line, const Separator& separator) {
  throw UserError(fmt::format(
      "{}: no commas in line {}; this looks like a table separated by {}, and crescendo reads commas only; this makes "
      "one: python3 -c \"import csv, sys; csv.writer(sys.stdout).writerows(csv.reader(sys.stdin, delimiter={}, "
      "skipinitialspace=True))\" < old.csv > new.csv",
      path.string(), line, separator.name, separator.in_python));
}

// visit(line, number, is_header) for each line that holds a row, or names.
template <class Visitor>
void ForEachRow(std::string& text, const CsvTable::Form& form, Visitor&& visit) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  bool header = form.header;
  int64_t number = 0;
  for (size_t begin = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::span<char> line(text.data() + begin, end - begin);
    const std::string_view view(line.data(), line.size());
    begin = end + 1;
    ++number;
    if (WithoutBlanks(view).empty()) continue;
    if (!form.comment.empty() && view.starts_with(form.comment)) continue;
    visit(line, number, std::exchange(header, false));
  }
}

struct Line {
  std::string_view text;
  int64_t number;  // from 1
  int64_t fields;
};

// Where a table is separated by something else, commas are in some of its lines only, as in "2,5;red".
void RequireSameSeparator(const std::filesystem::path& path, const Line& first, const Line& line) {
  if (first.fields != 1 || line.fields == 1) return;
  const Separator* separator = LikelySeparator(first.text);
  if (separator == nullptr || separator->character == ' ') return;  // of words there may be a title
  if (line.text.find(separator->character) != line.text.npos) FailForSeparator(path, first.number, *separator);
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

std::string CsvField(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + '"';
}

CsvTable::CsvTable(std::filesystem::path path, std::string text, const Form& form)
    : path_(std::move(path)), text_(std::make_unique<std::string>(std::move(text))) {
  Line first{};  // of names or fields
  ForEachRow(*text_, form, [&](std::span<char> line, int64_t number, bool is_header) {
    std::vector<std::string_view>& fields = is_header ? names_ : fields_;
    const size_t before = fields.size();
    AppendFields(line, number, path_, fields);
    const Line read{WithoutBlanks({line.data(), line.size()}), number, static_cast<int64_t>(fields.size() - before)};
    if (first.number == 0) first = read;
    if (is_header) return;
    if (lines_.empty()) columns_ = read.fields;
    RequireSameSeparator(path_, first, read);
    if (read.fields != columns_) {
      throw UserError(fmt::format("{}, line {}: the row has {} {}, the first row (line {}) has {}{}", path_.string(),
                                  number, read.fields, read.fields == 1 ? "column" : "columns", lines_.front(),
                                  columns_,
                                  form.comment.empty() && !form.comment_option.empty()
                                      ? "; if this is a comment, say how comments begin: " + form.comment_option
                                      : ""));
    }
    lines_.push_back(number);
  });
  if (lines_.empty()) {
    throw UserError(
        fmt::format("{} holds no rows{}", path_.string(), names_.empty() ? "" : " below the names of its columns"));
  }
  const Separator* separator = columns_ == 1 ? LikelySeparator(first.text) : nullptr;
  if (separator != nullptr) FailForSeparator(path_, first.number, *separator);
}

void CsvTable::FailAt(int64_t row, int64_t column, std::string_view problem) const {
  Fail(path_, lines_[row], column, problem);
}

}  // namespace crescendo
