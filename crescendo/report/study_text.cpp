#include "crescendo/report/study_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "crescendo/base/csv_table.h"
#include "crescendo/report/study_cells.h"
#include "crescendo/report/text_table.h"

namespace crescendo::report {
namespace {

constexpr int64_t kWidth = 120;

std::vector<std::string> Verdicts(const StudySummary& summary) {
  std::vector<std::string> sentences;
  for (const VariantSummary& row : summary.variants) {
    if (!row.analysis.comparison) continue;
    sentences.push_back(fmt::format("{}: {}", row.analysis.name, row.analysis.comparison->sentence));
  }
  return sentences;
}

std::string TerminalTable(const Cells& cells) {
  std::vector<TextTable::Column> columns;
  for (const std::string& name : cells.names) {
    const bool words = name == "variant" || name == "runs" || name == "compared" || name == "Welch";
    columns.push_back({name, words ? Align::kLeft : Align::kRight});
  }
  TextTable table(columns);
  for (const auto& row : cells.rows) table.AddRow(row);
  return table.Render();
}

std::string MarkdownRow(const std::vector<std::string>& cells) {
  std::string row = "|";
  for (std::string cell : cells) {
    for (size_t bar = cell.find('|'); bar != std::string::npos; bar = cell.find('|', bar + 2))
      cell.insert(bar, 1, '\\');
    row += fmt::format(" {} |", cell);
  }
  return row + '\n';
}

std::string MarkdownTable(const Cells& cells) {
  std::string out = MarkdownRow(cells.names) + "|---|";
  for (size_t i = 1; i < cells.names.size(); ++i) out += "---:|";
  out += '\n';
  for (const auto& row : cells.rows) out += MarkdownRow(row);
  return out;
}

}  // namespace

std::string_view NameOf(RunState state) {
  switch (state) {
    case RunState::kWaiting:
      return "waiting";
    case RunState::kUnfinished:
      return "unfinished";
    case RunState::kFinished:
      return "finished";
    case RunState::kFailed:
      return "failed";
    case RunState::kCrashed:
      return "crashed";
  }
  return "";
}

std::string_view NameOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::kEquivalent:
      return "equivalent";
    case Verdict::kWorse:
      return "worse";
    case Verdict::kBetter:
      return "better";
    case Verdict::kUndecided:
      return "undecided";
    case Verdict::kFails:
      return "fails";
  }
  return "";
}

std::string StudyTable(const StudyResults& results, const StudySummary& summary) {
  std::string out = Wrapped(fmt::format("{}: {}", results.name, Terms(results)), kWidth, 2) + '\n';
  out += TerminalTable(ResultCells(summary));
  const auto add = [&](const std::string& head, const Cells& cells, const std::vector<std::string>& sentences) {
    if (cells.rows.empty() && sentences.empty()) return;
    out += '\n' + head + '\n';
    if (!cells.rows.empty()) out += TerminalTable(cells);
    for (const std::string& sentence : sentences) out += Wrapped("  " + sentence, kWidth, 4);
  };
  const auto add_sentence = [&](const std::string& sentence) {
    if (!sentence.empty()) out += '\n' + Wrapped(sentence, kWidth, 0);
  };
  add(ReferenceSentence(results), TestCells(summary), Verdicts(summary));
  add_sentence(summary.no_verdict);
  add(CostHead(results, summary), CostCells(results, summary), {});
  add_sentence(summary.cost);
  add("Failed runs:", {}, Failures(results));
  return out;
}

std::string StudyMarkdown(const StudyResults& results, const StudySummary& summary) {
  std::string out = fmt::format("# {}\n\n", results.name);
  if (!results.question.empty()) out += results.question + "\n\n";
  if (!results.note.empty()) out += results.note + ".\n\n";
  out += Terms(results) + ".\n\n";
  if (const std::string unfinished = Unfinished(summary); !unfinished.empty()) out += unfinished + "\n\n";
  out += MarkdownTable(ResultCells(summary));
  const auto add = [&](const std::string& head, const Cells& cells, const std::vector<std::string>& sentences) {
    if (cells.rows.empty() && sentences.empty()) return;
    out += fmt::format("\n{}\n", head);
    if (!cells.rows.empty()) out += '\n' + MarkdownTable(cells);
    if (!sentences.empty()) out += '\n';
    for (const std::string& sentence : sentences) out += fmt::format("- {}\n", sentence);
  };
  const auto add_sentence = [&](const std::string& sentence) {
    if (!sentence.empty()) out += fmt::format("\n{}\n", sentence);
  };
  add(ReferenceSentence(results), TestCells(summary), Verdicts(summary));
  add_sentence(summary.no_verdict);
  add(CostHead(results, summary), CostCells(results, summary), {});
  add_sentence(summary.cost);
  add("Failed runs:", {}, Failures(results));
  if (!summary.differences.empty()) add("Where the configs differ:", DifferenceCells(results, summary), {});
  if (const std::string origin = Origin(results, summary); !origin.empty()) add_sentence(origin + '.');
  if (!summary.machines.empty()) out += fmt::format("\nMachine: {}.\n", fmt::join(summary.machines, "; "));
  if (!summary.commits.empty()) out += fmt::format("\nCommit: {}.\n", fmt::join(summary.commits, ", "));
  return out;
}

std::string StudyCsv(const StudyResults& results) {
  std::string out =
      "variant,seed,state,test_accuracy,test_loss,updates,examples,train_seconds,total_seconds,folder,reason,earlier\n";
  for (const StudyVariant& variant : results.variants) {
    for (const StudyRun& run : variant.runs) {
      out += fmt::format("{},{},{},", CsvField(variant.name), run.seed, NameOf(run.state));
      const RunFooter* footer = run.log && run.log->summary.footer ? &*run.log->summary.footer : nullptr;
      const bool evaluated = footer != nullptr && footer->final_evaluation.updates > schedule::Updates{0};
      out += evaluated ? fmt::format("{},{},", footer->final_evaluation.accuracy, footer->final_evaluation.loss) : ",,";
      out += footer != nullptr ? fmt::format("{},{},{},{},", footer->updates.value(), footer->examples.value(),
                                             footer->train_seconds, footer->total_seconds)
                               : ",,,,";
      out += fmt::format("{},{},{}\n", CsvField(run.folder), CsvField(run.reason),
                         CsvField(fmt::format("{}", fmt::join(run.earlier, "; "))));
    }
  }
  return out;
}

}  // namespace crescendo::report
