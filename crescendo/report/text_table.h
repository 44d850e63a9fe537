// Aligned columns and flowing sentences for the terminal.
//
//   TextTable table({{"name", Align::kLeft}, {"updates"}});
//   table.AddRow({"grow", WithThousands(28'891)});
//   table.Render();
//   // name  updates
//   // grow   28,891
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace crescendo::report {

// "28,891"
std::string WithThousands(int64_t number);

// Beside a reference that took `reference`, both above 0: "2.8 times fewer updates", "2.4 times the updates", "as many
// updates". So many digits that it is not "1.0 times".
std::string TimesText(double count, double reference, std::string_view what);

// "0.12", "-3.00"; what rounds to 0 has no sign.
std::string Hundredths(double value);
// "+0.12", "-3.00", "0.00".
std::string SignedHundredths(double value);

// "2.77", "1,944"; "-" where there are none.
std::string SecondsText(double seconds);

// "0.3 points", "1 point".
std::string PointsText(double points);

// Columns that a UTF-8 text takes on a terminal, taking every code point for one.
int64_t DisplayWidth(std::string_view text);

// Columns of the terminal that the file descriptor is; none where it is another file, or a terminal that does not say.
std::optional<int64_t> TerminalWidth(int fd);

// `text` in lines of at most `width` columns, broken at spaces; lines after the first begin with `indent` spaces. Ends
// with a newline.
std::string Wrapped(std::string_view text, int64_t width, int64_t indent);

enum class Align { kLeft, kRight };

class TextTable {
 public:
  struct Column {
    std::string name;
    Align align = Align::kRight;
  };

  explicit TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // REQUIRES a cell per column.
  void AddRow(std::vector<std::string> cells);
  // A line across the table, between rows.
  void AddLine(std::string text);

  std::string Render(int64_t spaces_between = 2) const;

 private:
  struct Row {
    std::vector<std::string> cells;  // empty for a line
    std::string line;
  };

  std::vector<Column> columns_;
  std::vector<Row> rows_;
};

}  // namespace crescendo::report
