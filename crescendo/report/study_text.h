// A study as text: for the terminal, for a document, for other programs.
#pragma once

#include <string>
#include <string_view>

#include "crescendo/report/study_results.h"

namespace crescendo::report {

// A row per variant, the verdicts in words, savings, and every run that failed.
std::string StudyTable(const StudyResults& results, const StudySummary& summary);

// The same as Markdown, with the differences of the configs, commit and machine.
std::string StudyMarkdown(const StudyResults& results, const StudySummary& summary);

// A row per run, whatever became of it, under a line of names. Numbers come back exactly as they were.
std::string StudyCsv(const StudyResults& results);

// Everything: the runs, the statistics, the curves of the figures. docs/formats/study.md lists the fields.
std::string StudyJson(const StudyResults& results, const StudySummary& summary);

std::string_view NameOf(RunState state);
std::string_view NameOf(Verdict verdict);

}  // namespace crescendo::report
