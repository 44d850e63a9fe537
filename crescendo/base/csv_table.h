// A comma-separated table in memory: rows of equally many fields, as text.
//
//   const CsvTable table("rates.csv", ReadFile("rates.csv"), {.header = true});
//   table.Field(0, 1);
//
// One row per line; blank lines and comment lines are left out; spaces around a field do not belong to it; a field may
// stand in double quotes, with "" for a quote (RFC 4180, but for line breaks inside quotes).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace crescendo {

class CsvTable {
 public:
  struct Form {
    bool header = false;              // the first line that holds anything names the columns
    std::string comment = {};         // what a comment line begins with; "": there are none
    std::string comment_option = {};  // the option that would say so, for messages
  };

  // `path` is what messages call the text. UserError, with line and column, where there is no row, for rows of
  // different lengths, rows that are not separated by commas, and unfinished quotes.
  CsvTable(std::filesystem::path path, std::string text, const Form& form);

  int64_t rows() const { return static_cast<int64_t>(lines_.size()); }
  int64_t columns() const { return columns_; }
  const std::filesystem::path& path() const { return path_; }
  std::string_view Field(int64_t row, int64_t column) const { return fields_[row * columns_ + column]; }

  // The columns' names; empty without a header.
  const std::vector<std::string_view>& names() const { return names_; }

  // UserError: "FILE, line L, column C (C-1, counted from 0): PROBLEM".
  [[noreturn]] void FailAt(int64_t row, int64_t column, std::string_view problem) const;

 private:
  std::filesystem::path path_;
  // What names_ and fields_ look into; on the heap, so that a CsvTable can be moved.
  std::unique_ptr<std::string> text_;
  std::vector<std::string_view> names_;
  std::vector<std::string_view> fields_;
  std::vector<int64_t> lines_;  // of each row, from 1
  int64_t columns_ = 0;
};

// `text` as a field of such a table: in quotes where it has to be.
std::string CsvField(const std::string& text);

}  // namespace crescendo
