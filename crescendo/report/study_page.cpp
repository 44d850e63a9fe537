#include "crescendo/report/study_page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string_view>

#include "crescendo/report/markup.h"
#include "crescendo/report/study_cells.h"
#include "crescendo/report/study_text.h"
#include "crescendo/report/text_table.h"

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
std::string HeadRow(const std::vector<std::string>& names, const std::string& second = "") {
  std::string out;
  for (size_t i = 0; i < names.size(); ++i) {
    out += fmt::format("<th>{}</th>{}", Escaped(names[i]), i == 0 ? second : "");
  }
  return fmt::format("<tr>{}</tr>\n", out);
}

// On a narrow screen a row becomes a list, each value with the name of its column.
std::string Row(const std::vector<std::string>& names, const std::vector<std::string>& texts,
                const std::string& second = "") {
  std::string out;
  for (size_t i = 0; i < texts.size(); ++i) {
    out += fmt::format("<td data-name=\"{}\">{}</td>{}", Escaped(names[i]), Escaped(texts[i]), i == 0 ? second : "");
  }
  return fmt::format("<tr>{}</tr>\n", out);
}

std::string VerdictCell(const VariantSummary& row, bool is_reference) {
  const auto cell = [](const std::string& classes, const std::string& sentence) {
    return fmt::format("<td class=\"{}\" data-name=\"verdict\">{}</td>", classes, Escaped(sentence));
  };
  if (is_reference) return cell("words", "the reference");
  if (!row.analysis.comparison) return cell("words", "-");
  const Comparison& comparison = *row.analysis.comparison;
  return cell(fmt::format("words {}", NameOf(comparison.verdict)), comparison.sentence);
}

std::string ResultTable(const StudyResults& results, const StudySummary& summary) {
  const Cells cells = ResultCells(summary);
  std::string out = "<div class=\"scroll\"><table id=\"verdicts\">\n";
  out += HeadRow(cells.names, "<th class=\"words\">verdict</th>");
  for (size_t i = 0; i < cells.rows.size(); ++i) {
    out += Row(cells.names, cells.rows[i], VerdictCell(summary.variants[i], i == results.reference));
  }
  return out + "</table></div>\n";
}

// With the corrected p below where the verdict stands on this test.
std::string StudentCell(const std::optional<Difference>& difference, const Comparison& comparison) {
  if (!difference) return "-";
  std::string text = StudentText(*difference);
  if (comparison.deciding() == &*difference) text += fmt::format("\nHolm {}", PText(comparison.p_difference_adjusted));
  return text;
}

// Each variant beside the reference, in numbers.
std::string TestTable(const StudyResults& results, const StudySummary& summary) {
  const std::vector<std::string> names = {"variant",  "difference", "95 % interval", "equivalence (TOST)",
                                          "paired t", "Welch t"};
  std::string rows;
  for (const VariantSummary& row : summary.variants) {
    if (!row.analysis.comparison || row.analysis.comparison->deciding() == nullptr) continue;
    const Comparison& comparison = *row.analysis.comparison;
    const Difference& difference = *comparison.deciding();
    rows += Row(names, {row.analysis.name, SignedHundredths(difference.value),
                        fmt::format("{} to {}", SignedHundredths(difference.interval.low),
                                    SignedHundredths(difference.interval.high)),
                        fmt::format("{}\nHolm {}", PText(comparison.same->p), PText(comparison.p_equivalence_adjusted)),
                        StudentCell(comparison.by_seed, comparison), StudentCell(comparison.welch, comparison)});
  }
  if (rows.empty()) return "";
  return fmt::format(
      "<h2>Accuracy beside {0}</h2>\n<div class=\"scroll\"><table id=\"tests\">\n{1}{2}</table></div>\n"
      "<p class=\"soft\">In points, the variant minus {0}. Difference, interval and TOST are by seed where two seeds "
      "or more are shared, else as in Welch's test. TOST: two one-sided tests; a small p says that the difference is "
      "within {3}. t, with its degrees of freedom: two-sided; a small p says that there is a difference. Holm: "
      "p after Holm's correction for several variants; the verdict stands on it, at 5 %.</p>\n",
      Escaped(results.variants[results.reference].name), HeadRow(names), rows, PointsText(results.margin));
}

std::string List(const std::string& head, const std::vector<std::string>& sentences) {
  if (sentences.empty()) return "";
  std::string out = fmt::format("<h2>{}</h2>\n<ul>\n", head);
  for (const std::string& sentence : sentences) out += fmt::format("<li>{}</li>\n", Escaped(sentence));
  return out + "</ul>\n";
}

std::string CostTable(const StudyResults& results, const StudySummary& summary) {
  const Cells cells = CostCells(results, summary);
  if (cells.rows.empty()) return "";
  std::string head = CostHead(results, summary);
  head.pop_back();  // the colon
  std::string out = fmt::format("<h2>{}</h2>\n<div class=\"scroll\"><table id=\"cost\">\n", Escaped(head));
  out += HeadRow(cells.names);
  for (const auto& row : cells.rows) out += Row(cells.names, row);
  out += "</table></div>\n";
  if (!summary.cost.empty()) out += fmt::format("<p class=\"soft\">{}</p>\n", Escaped(summary.cost));
  return out;
}

// What the table of differences leaves out: all that the variants have in common.
std::string ConfigDetails(const StudyResults& results) {
  return fmt::format("<details id=\"config\"><summary>Config of {}, whole</summary>\n<pre>{}</pre></details>\n",
                     Escaped(results.variants[results.reference].name), Escaped(ReferenceConfig(results)));
}

std::string DifferenceTable(const StudyResults& results, const StudySummary& summary) {
  if (summary.differences.empty()) return "";
  const Cells cells = DifferenceCells(results, summary);
  std::string out =
      "<h2>Where the configs differ</h2>\n<div class=\"scroll\"><table id=\"differences\">\n" + HeadRow(cells.names);
  for (const auto& row : cells.rows) out += Row(cells.names, row);
  return out + "</table></div>\n";
}

constexpr std::string_view kControls = R"(<form class="controls">
<fieldset id="toggles"><legend>Variants</legend></fieldset>
<fieldset><legend>Against</legend>
<label><input type="radio" name="axis" value="examples" checked>epochs</label>
<label><input type="radio" name="axis" value="updates">updates</label>
<label><input type="radio" name="axis" value="seconds">time</label>
</fieldset>
<fieldset><legend>Log scale</legend>
<label><input type="checkbox" id="log-accuracy">accuracy</label>
<label><input type="checkbox" id="log-loss" checked>loss</label>
<label><input type="checkbox" id="log-schedule" checked>schedule</label>
</fieldset>
</form>
)";

}  // namespace

std::string StudyPage(const StudyResults& results, const StudySummary& summary) {
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\">\n<title>{}</title>\n<style>\n{}</style>\n"
      "</head>\n<body>\n<h1>{}</h1>\n",
      Escaped(results.name), kPageCss, Escaped(results.name));
  if (!results.question.empty()) out += fmt::format("<p>{}</p>\n", Escaped(results.question));
  if (!results.note.empty()) out += fmt::format("<p id=\"note\">{}</p>\n", Escaped(results.note));
  out += fmt::format("<p class=\"soft\">{}</p>\n", Escaped(Terms(results)));
  if (const std::string origin = Origin(results, summary); !origin.empty()) {
    out += fmt::format("<p class=\"soft\" id=\"origin\">{}</p>\n", Escaped(origin));
  }
  if (const std::string unfinished = Unfinished(summary); !unfinished.empty()) {
    out += fmt::format("<p>{} The figures show what there is.</p>\n", unfinished);
  }
  out += ResultTable(results, summary);
  if (summary.no_verdict.empty()) {
    out += TestTable(results, summary);
  } else {
    out += fmt::format("<p>{}</p>\n", Escaped(summary.no_verdict));
  }
  out += List("Failed runs", Failures(results));
  out += kControls;
  out +=
      "<noscript><p>The figures need scripts; the tables and <code>crescendo report --format csv</code> do not.</p>"
      "</noscript>\n<div class=\"figures\" id=\"figures\"></div>\n";
  out += CostTable(results, summary);
  out += DifferenceTable(results, summary);
  out += ConfigDetails(results);
  out += fmt::format("<h2>Machine and program</h2>\n<p class=\"soft\">{}</p>\n<p class=\"soft\">crescendo {}</p>\n",
                     Escaped(fmt::format("{}", fmt::join(summary.machines, "; "))),
                     Escaped(fmt::format("{}", fmt::join(summary.commits, ", "))));
  out += fmt::format(
      "<script type=\"application/json\" id=\"study\">{}</script>\n<script>\n{}</script>\n</body>\n</html>\n",
      ForScript(StudyJson(results, summary)), kPageJs);
  return out;
}

}  // namespace crescendo::report
