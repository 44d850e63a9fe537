// Plans as a picture: learning rate, batch and noise scale over epochs, a line per schedule. Schedules that are
// equivalent differ in the first two panels and lie on each other in the third.
#pragma once

#include <string>
#include <vector>

#include "crescendo/schedule/plan.h"

namespace crescendo::report {

struct NamedPlan {
  std::string name;
  schedule::Plan plan;
};

// A self-contained SVG for light and dark pages. Lines differ in colour and dash; the legend gives each schedule's
// updates. REQUIRES at least one plan.
std::string PlanChartSvg(const std::vector<NamedPlan>& plans);

}  // namespace crescendo::report
