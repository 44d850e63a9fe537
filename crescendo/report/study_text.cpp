#include "crescendo/report/study_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "crescendo/report/study_cells.h"
#include "crescendo/report/text_table.h"

namespace crescendo::report {
namespace {

constexpr int64_t kWidth = 120;
std::vector<std::string> Verdicts(const StudySummary& summary) {
  std::vector<std::string> sentences;
  for (const VariantSummary& row : summary.variants) {
    if (!row.analysis.comparison) continue;
    const Comparison& comparison = *row.analysis.comparison;
    std::string sentence = fmt::format("{}: {}", row.analysis.name, comparison.sentence);
    if (const std::string evidence = Evidence(comparison); !evidence.empty())
      sentence += fmt::format(" [{}]", evidence);
    sentences.push_back(sentence);
  }
  return sentences;
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

std::string MarkdownList(const std::string& head, const std::vector<std::string>& sentences) {
  if (sentences.empty()) return "";
  std::string out = fmt::format("\n{}\n\n", head);
  for (const std::string& sentence : sentences) out += fmt::format("- {}\n", sentence);
  return out;
}

std::string CsvField(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + '"';
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
  const Cells cells = ResultCells(summary);
  std::vector<TextTable::Column> columns;
  for (const std::string& name : cells.names) {
    columns.push_back({name, name == "variant" || name == "runs" ? Align::kLeft : Align::kRight});
  }
  TextTable table(columns);
  for (const auto& row : cells.rows) table.AddRow(row);
  out += table.Render();
  const auto add = [&](const std::string& head, const std::vector<std::string>& sentences) {
    if (sentences.empty()) return;
    out += '\n' + head + '\n';
    for (const std::string& sentence : sentences) out += Wrapped("  " + sentence, kWidth, 4);
  };
  const auto add_sentence = [&](const std::string& sentence) {
    if (!sentence.empty()) out += '\n' + Wrapped(sentence, kWidth, 0);
  };
  add(ReferenceSentence(results), Verdicts(summary));
  add_sentence(summary.no_verdict);
  add("Cost:", Savings(results, summary));
  add("Failed runs:", Failures(results));
  add_sentence(summary.cost);
  return out;
}

std::string StudyMarkdown(const StudyResults& results, const StudySummary& summary) {
  std::string out = fmt::format("# {}\n\n", results.name);
  if (!results.question.empty()) out += results.question + "\n\n";
  out += Terms(results) + ".\n\n" + MarkdownTable(ResultCells(summary));
  out += MarkdownList(ReferenceSentence(results), Verdicts(summary));
  if (!summary.no_verdict.empty()) out += fmt::format("\n{}\n", summary.no_verdict);
  out += MarkdownList("Cost:", Savings(results, summary));
  out += MarkdownList("Failed runs:", Failures(results));
  if (!summary.differences.empty()) {
    out += "\nWhere the configs differ:\n\n" + MarkdownTable(DifferenceCells(results, summary));
  }
  if (!summary.cost.empty()) out += fmt::format("\n{}\n", summary.cost);
  if (!summary.machines.empty()) out += fmt::format("\nMachine: {}.\n", fmt::join(summary.machines, "; "));
  if (!summary.commits.empty()) out += fmt::format("\nCommit: {}.\n", fmt::join(summary.commits, ", "));
  return out;
}

std::string StudyCsv(const StudyResults& results) {
  std::string out =
      "variant,seed,state,test_accuracy,test_loss,updates,examples,train_seconds,total_seconds,folder,reason\n";
  for (const StudyVariant& variant : results.variants) {
    for (const StudyRun& run : variant.runs) {
      out += fmt::format("{},{},{},", CsvField(variant.name), run.seed, NameOf(run.state));
      const RunFooter* footer = run.log && run.log->summary.footer ? &*run.log->summary.footer : nullptr;
      const bool evaluated = footer != nullptr && footer->final_evaluation.updates > schedule::Updates{0};
      out += evaluated ? fmt::format("{},{},", footer->final_evaluation.accuracy, footer->final_evaluation.loss) : ",,";
      out += footer != nullptr ? fmt::format("{},{},{},{},", footer->updates.value(), footer->examples.value(),
                                             footer->train_seconds, footer->total_seconds)
                               : ",,,,";
      out += fmt::format("{},{}\n", CsvField(run.folder), CsvField(run.reason));
    }
  }
  return out;
}

}  // namespace crescendo::report
