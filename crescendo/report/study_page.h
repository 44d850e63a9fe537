// A study as one HTML file that needs nothing else: no network, no other file. The verdicts and tables are in the HTML
// itself; the figures are drawn by the page's own script from the JSON inside it, so that they can be looked into:
// values under the pointer, variants on and off, another axis, another scale. For light and dark, paper and phone.
#pragma once

#include <string>

#include "crescendo/report/study_results.h"

namespace crescendo::report {

std::string StudyPage(const StudyResults& results, const StudySummary& summary);

}  // namespace crescendo::report
