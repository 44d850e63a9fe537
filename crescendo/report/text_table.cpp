#include "crescendo/report/text_table.h"

#include <fmt/format.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cmath>

#include "crescendo/base/error.h"

namespace crescendo::report {

std::string WithThousands(int64_t number) {
  std::string text = std::to_string(number);
  const int64_t first_digit = number < 0 ? 1 : 0;
  for (int64_t place = static_cast<int64_t>(text.size()) - 3; place > first_digit; place -= 3)
    text.insert(static_cast<size_t>(place), 1, ',');
  return text;
}

std::string Hundredths(double value) {
  std::string text = fmt::format("{:.2f}", value);
  return text == "-0.00" ? "0.00" : text;
}

std::string SignedHundredths(double value) {
  const std::string text = Hundredths(value);
  return value > 0 && text != "0.00" ? '+' + text : text;
}

std::string SecondsText(double seconds) {
  if (seconds >= 100) return WithThousands(std::llround(seconds));
  return seconds > 0 ? fmt::format("{:.3g}", seconds) : "-";
}

std::string PointsText(double points) { return fmt::format("{} {}", points, points == 1 ? "point" : "points"); }

std::string TimesText(double count, double reference, std::string_view what) {
  if (count == reference) return fmt::format("as many {}", what);
  const double ratio = std::max(count, reference) / std::min(count, reference);
  if (ratio < 1.0005) return fmt::format("about as many {}", what);
  const int digits = ratio < 1.1 ? 3 : ratio < 10 ? 1 : 0;
  return fmt::format("{:.{}f} times {} {}", ratio, digits, count < reference ? "fewer" : "the", what);
}

int64_t DisplayWidth(std::string_view text) {
  // Bytes 10xxxxxx continue a code point.
  return std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

std::optional<int64_t> TerminalWidth(int fd) {
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return std::nullopt;
  return size.ws_col;
}

std::string Wrapped(std::string_view text, int64_t width, int64_t indent) {
  std::string out;
  int64_t column = 0;
  bool line_is_empty = true;
  while (!text.empty()) {
    const size_t space = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, space);
    const int64_t length = DisplayWidth(word);
    if (!line_is_empty && column + 1 + length > width) {
      out += '\n';
      out.append(indent, ' ');
      column = indent;
      line_is_empty = true;
    }
    if (!line_is_empty) out += ' ';
    column += length + (line_is_empty ? 0 : 1);
    out += word;
    line_is_empty = false;
    text.remove_prefix(std::min(space + 1, text.size()));
  }
  return out + '\n';
}

void TextTable::AddRow(std::vector<std::string> cells) {
  CRESCENDO_ASSERT(cells.size() == columns_.size(), "a cell per column");
  rows_.push_back({std::move(cells), ""});
}

void TextTable::AddLine(std::string text) { rows_.push_back({{}, std::move(text)}); }

std::string TextTable::Render(int64_t spaces_between) const {
  std::vector<int64_t> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    int64_t width = DisplayWidth(columns_[i].name);
    for (const Row& row : rows_) {
      if (!row.cells.empty()) width = std::max(width, DisplayWidth(row.cells[i]));
    }
    widths.push_back(width);
  }
  std::string out;
  const auto add_cells = [&](const auto& text_of) {
    std::string line;
    for (size_t i = 0; i < columns_.size(); ++i) {
      const std::string& text = text_of(i);
      const int64_t padding = widths[i] - DisplayWidth(text);
      if (i > 0) line.append(spaces_between, ' ');
      if (columns_[i].align == Align::kRight) line.append(padding, ' ');
      line += text;
      if (columns_[i].align == Align::kLeft) line.append(padding, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  };
  add_cells([&](size_t i) -> const std::string& { return columns_[i].name; });
  for (const Row& row : rows_) {
    if (row.cells.empty()) {
      out += row.line + '\n';
    } else {
      add_cells([&](size_t i) -> const std::string& { return row.cells[i]; });
    }
  }
  return out;
}

}  // namespace crescendo::report
