// crescendo report: what runs, or a study, have come to.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>

#include "crescendo/base/error.h"
#include "crescendo/cli/arguments.h"
#include "crescendo/cli/commands.h"
#include "crescendo/cli/output_file.h"
#include "crescendo/report/comparison.h"
#include "crescendo/report/study_page.h"
#include "crescendo/report/study_text.h"
#include "crescendo/study/collect.h"
#include "crescendo/study/stages.h"
#include "crescendo/train/build.h"

namespace crescendo::cli {

enum class ReportFormat { kTable, kHtml, kMarkdown, kCsv, kJson };

}  // namespace crescendo::cli

namespace crescendo {

template <>
inline constexpr auto kEnumCases<cli::ReportFormat> = std::to_array<EnumCase<cli::ReportFormat>>({
    {cli::ReportFormat::kTable, "table", "aligned columns for the terminal"},
    {cli::ReportFormat::kHtml, "html", "a page with figures, in one file"},
    {cli::ReportFormat::kMarkdown, "md", "tables and sentences for a document"},
    {cli::ReportFormat::kCsv, "csv", "a row per run"},
    {cli::ReportFormat::kJson, "json", "everything, the curves too"},
});

}  // namespace crescendo

namespace crescendo::cli {
namespace {

struct Arguments {
  std::vector<std::string> words;  // runs or a study; and overrides, for a study
  std::string out;
  ReportFormat format = ReportFormat::kTable;
  bool format_given = false;
  std::optional<int64_t> seeds;
  std::optional<double> margin;
  int64_t workers = 16;
};

report::StudyResults Collect(const Arguments& arguments) {
  std::vector<std::filesystem::path> paths;
  std::vector<std::string> overrides;
  for (const std::string& word : arguments.words) {
    if (word.find('=') != std::string::npos && !std::filesystem::exists(word)) {
      overrides.push_back(word);
    } else {
      paths.emplace_back(word);
    }
  }
  if (paths.empty()) throw UserError("crescendo report needs the folders of runs, or a study file");
  if (paths.size() == 1 && study::IsStudyFile(paths.front())) {
    const study::Study given = study::LoadStudy(paths.front(), overrides, arguments.seeds);
    if (arguments.margin) {
      throw UserError(
          fmt::format("--margin {} is for runs side by side; {} is a study, which states its own: margin = {}",
                      *arguments.margin, paths.front().string(), given.margin));
    }
    const auto [study, trials, is_last] = study::CurrentStage(given, train::BuildPlan);
    return study::CollectStudy(study, trials, study::FindRuns(study, trials));
  }
  for (const std::filesystem::path& path : paths) {
    if (study::IsStudyFile(path)) {
      throw UserError(fmt::format("{} is a study; a report is of one study, or of runs", path.string()));
    }
  }
  if (!overrides.empty() || arguments.seeds) {
    throw UserError(
        fmt::format("{} changes a study, and none was given", overrides.empty() ? "--seeds" : overrides.front()));
  }
  if (arguments.margin && !(*arguments.margin > 0 && *arguments.margin <= 100)) {
    throw UserError(
        fmt::format("--margin {}: it must be above 0 and at most 100, in points of test accuracy", *arguments.margin));
  }
  report::StudyResults results = study::CollectRuns(paths);
  results.margin = arguments.margin.value_or(results.margin);
  return results;
}

// Runs of one seed each allow no verdict: side by side they tell their updates and accuracies.
bool IsPlainComparison(const report::StudyResults& results) {
  return results.equal.empty() &&
         std::ranges::all_of(results.variants, [](const auto& variant) { return variant.runs.size() == 1; });
}

std::string PlainComparison(const report::StudyResults& results, const std::string& no_verdict) {
  std::vector<report::NamedRun> runs;
  for (const report::StudyVariant& variant : results.variants) {
    runs.push_back({variant.name, variant.runs.front().log->summary});
    const std::string& warning = runs.back().run.warning;
    if (!warning.empty()) std::cerr << "crescendo: " << warning << '\n';
  }
  return report::ComparisonTable(runs, no_verdict);
}

std::string Text(const report::StudyResults& results, ReportFormat format, int64_t workers) {
  const report::StudySummary summary = report::Summarize(results, workers);
  switch (format) {
    case ReportFormat::kTable:
      return IsPlainComparison(results) ? PlainComparison(results, summary.no_verdict)
                                        : report::StudyTable(results, summary);
    case ReportFormat::kCsv:
      return report::StudyCsv(results);
    case ReportFormat::kHtml:
      return report::StudyPage(results, summary);
    case ReportFormat::kMarkdown:
      return report::StudyMarkdown(results, summary);
    case ReportFormat::kJson:
      return report::StudyJson(results, summary);
  }
  return "";
}

// What is written into a file is what its name's ending says.
ReportFormat FormatOf(const Arguments& arguments) {
  if (arguments.format_given || arguments.out.empty()) return arguments.format;
  const std::string ending = std::filesystem::path(arguments.out).extension().string();
  const auto format = ParseEnum<ReportFormat>(ending.empty() ? "" : ending.substr(1));
  if (format) return *format;
  throw UserError(fmt::format(
      "--out {}: a name that ends in .html, .md, .csv or .json says the format; else --format must", arguments.out));
}

void Report(const Arguments& arguments) {
  const ReportFormat format = FormatOf(arguments);
  if (!arguments.out.empty()) RequireOutput("--out", arguments.out);
  const report::StudyResults results = Collect(arguments);
  if (!results.note.empty()) std::cerr << "crescendo: " << results.note << '\n';
  WriteOutput(arguments.out, Text(results, format, arguments.workers));
}

}  // namespace

void AddReportCommand(CLI::App& app, int& /*exit_code*/) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("report", "tables and figures of runs or of a study, also while they go on");
  command
      ->add_option("RUN", arguments->words,
                   "folders of runs, or one study file with the options to change that its runs were made with")
      ->required();
  AddEnumOption(*command, "--format", arguments->format, "how to show it");
  command->add_option("--out", arguments->out,
                      "write it into this file, in the format of its ending unless --format says otherwise");
  command->add_option("--seeds", arguments->seeds, "of a study: the seeds 1 to this, instead of its own");
  command->add_option(
      "--margin", arguments->margin,
      fmt::format("of runs: differences of the test accuracy below this do not matter, in points; {} if not "
                  "given. A study states its own",
                  report::StudyResults{}.margin));
  command->add_option("--workers", arguments->workers, "of a study: how many workers to estimate the time for")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command->footer(R"(Examples:
  crescendo report recipes/studies/letter.toml
  crescendo report recipes/studies/letter.toml --out letter.html
  crescendo report runs/decay runs/grow --format md)");
  command->callback([arguments, command] {
    arguments->format_given = command->count("--format") > 0;
    Report(*arguments);
  });
}

}  // namespace crescendo::cli
