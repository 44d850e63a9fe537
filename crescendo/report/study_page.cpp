#include "crescendo/report/study_page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string_view>

#include "crescendo/report/markup.h"
#include "crescendo/report/study_cells.h"
#include "crescendo/report/study_text.h"

namespace crescendo::report {

// page/page.css and page/page.js, put into the program by cmake/EmbedText.cmake.
extern const std::string_view kPageCss;
extern const std::string_view kPageJs;

namespace {

// JSON stands inside <script>, where "</script" would end it and "<!--" would do worse; in JSON a "<" may be escaped.
std::string ForScript(std::string_view json) {
  std::string out;
  for (const char c : json) {
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out;
}

// `second` stands after the first cell, whole.
std::string Row(const char* cell, const std::vector<std::string>& texts, const std::string& second = "") {
  std::string out;
  for (size_t i = 0; i < texts.size(); ++i) {
    out += fmt::format("<{0}>{1}</{0}>{2}", cell, Escaped(texts[i]), i == 0 ? second : "");
  }
  return fmt::format("<tr>{}</tr>\n", out);
}

std::string VerdictCell(const VariantSummary& row, bool is_reference) {
  if (is_reference) return "<td class=\"words\">the reference</td>";
  if (!row.analysis.comparison) return "<td class=\"words\">-</td>";
  const Comparison& comparison = *row.analysis.comparison;
  return fmt::format("<td class=\"words {}\" title=\"{}\">{}</td>", NameOf(comparison.verdict),
                     Escaped(Evidence(comparison)), Escaped(comparison.sentence));
}

std::string ResultTable(const StudyResults& results, const StudySummary& summary) {
  const Cells cells = ResultCells(summary);
  std::string out = "<div class=\"scroll\"><table id=\"verdicts\">\n";
  out += Row("th", cells.names, "<th class=\"words\">verdict</th>");
  for (size_t i = 0; i < cells.rows.size(); ++i) {
    out += Row("td", cells.rows[i], VerdictCell(summary.variants[i], i == results.reference));
  }
  return out + "</table></div>\n";
}

std::string List(const std::string& head, const std::vector<std::string>& sentences) {
  if (sentences.empty()) return "";
  std::string out = fmt::format("<h2>{}</h2>\n<ul>\n", head);
  for (const std::string& sentence : sentences) out += fmt::format("<li>{}</li>\n", Escaped(sentence));
  return out + "</ul>\n";
}

std::string DifferenceTable(const StudyResults& results, const StudySummary& summary) {
  if (summary.differences.empty()) return "";
  const Cells cells = DifferenceCells(results, summary);
  std::string out = "<h2>Where the configs differ</h2>\n<div class=\"scroll\"><table>\n" + Row("th", cells.names);
  for (const auto& row : cells.rows) out += Row("td", row);
  return out + "</table></div>\n";
}

constexpr std::string_view kControls = R"(<form class="controls">
<fieldset id="toggles"><legend>Variants</legend></fieldset>
<fieldset><legend>Against</legend>
<label><input type="radio" name="axis" value="examples" checked>epochs</label>
<label><input type="radio" name="axis" value="updates">updates</label>
<label><input type="radio" name="axis" value="seconds">seconds</label>
</fieldset>
<fieldset><legend>Log scale</legend>
<label><input type="checkbox" id="log-accuracy">accuracy</label>
<label><input type="checkbox" id="log-loss" checked>loss</label>
<label><input type="checkbox" id="log-schedule" checked>schedule</label>
</fieldset>
</form>
)";

std::string Unfinished(const StudySummary& summary) {
  int64_t waiting = 0;
  int64_t unfinished = 0;
  for (const VariantSummary& row : summary.variants) {
    waiting += row.waiting;
    unfinished += row.unfinished;
  }
  if (waiting + unfinished == 0) return "";
  return fmt::format(
      "<p>Not done yet: {} {} begun and without an end, {} not begun. The figures show what there is; the "
      "table counts only runs that have ended.</p>\n",
      unfinished, unfinished == 1 ? "run" : "runs", waiting);
}

}  // namespace

std::string StudyPage(const StudyResults& results, const StudySummary& summary) {
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\">\n<title>{}</title>\n<style>\n{}</style>\n"
      "</head>\n<body>\n<h1>{}</h1>\n",
      Escaped(results.name), kPageCss, Escaped(results.name));
  if (!results.question.empty()) out += fmt::format("<p>{}</p>\n", Escaped(results.question));
  out += fmt::format("<p class=\"soft\">{}</p>\n", Escaped(Terms(results)));
  out += Unfinished(summary);
  out += ResultTable(results, summary);
  if (!summary.no_verdict.empty()) {
    out += fmt::format("<p>{}</p>\n", Escaped(summary.no_verdict));
  } else if (results.variants.size() > 1) {
    out +=
        "<p class=\"soft\">Verdicts at 5 % after Holm's correction; the numbers behind one stand under the pointer and "
        "in "
        "<code>--format json</code>.</p>\n";
  }
  out += List("Failed runs", Failures(results));
  out += kControls;
  out +=
      "<noscript><p>The figures need scripts; the tables and <code>crescendo report --format csv</code> do not.</p>"
      "</noscript>\n<div class=\"figures\" id=\"figures\"></div>\n";
  out += List("Cost beside the reference", Savings(results, summary));
  if (!summary.cost.empty()) out += fmt::format("<p class=\"soft\">{}</p>\n", Escaped(summary.cost));
  out += DifferenceTable(results, summary);
  out += fmt::format("<h2>Machine and program</h2>\n<p class=\"soft\">{}</p>\n<p class=\"soft\">crescendo {}</p>\n",
                     Escaped(fmt::format("{}", fmt::join(summary.machines, "; "))),
                     Escaped(fmt::format("{}", fmt::join(summary.commits, ", "))));
  out += fmt::format(
      "<script type=\"application/json\" id=\"study\">{}</script>\n<script>\n{}</script>\n</body>\n</html>\n",
      ForScript(StudyJson(results, summary)), kPageJs);
  return out;
}

}  // namespace crescendo::report
