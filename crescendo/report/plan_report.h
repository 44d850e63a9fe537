// A plan for the eye and for other programs: what `train` will do, before it does it.
//
//   std::cout << PlanTable(plan, {.config = "recipes/paper/grow.toml"});
//   PlanUpdates(plan, Format::kJson, std::cout);  // every update, in constant memory
#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "crescendo/base/enum_names.h"
#include "crescendo/schedule/plan.h"

namespace crescendo::report {

enum class Format { kTable, kJson, kCsv };

// How many workers compute each phase, where their number grows with the batch (schedule/workers.h).
struct PlanWorkers {
  std::vector<int64_t> of_phases;  // empty: nothing is said of workers
  int64_t worker_batch = 0;        // examples
};

// What the plan belongs to, for the table's first lines. Empty texts are left out.
struct PlanContext {
  std::string config;     // "recipes/paper/grow.toml"
  std::string train_set;  // "CIFAR-10"
  PlanWorkers workers = {};
  int64_t ghost_batch = 0;  // of batch norm; 0: the network has none
  double beta2 = 0;         // of Adam and AdamW; 0: the optimizer has none
  int64_t width = 0;        // columns of the terminal; 0: there is none
};

// A row per phase beside the reference, then totals, the corner cases in force, and warnings as sentences. At most
// about 40 rows: the middle of a longer plan is a line that says how many phases it stands for. Where the rows are
// wider than context.width, the columns that matter least are left out.
std::string PlanTable(const schedule::Plan& plan, const PlanContext& context = {});

// One JSON object; an element of "phases" per phase, all of them. Numbers come back exactly as they were.
std::string PlanJson(const schedule::Plan& plan, const PlanWorkers& workers = {});

// N of a plan that PlanJson wrote; nothing where the text is none.
std::optional<int64_t> TrainExamplesIn(const std::string& plan_json);

// A line of names, then a line per phase with the fields that PlanJson gives it.
std::string PlanCsv(const schedule::Plan& plan, const PlanWorkers& workers = {});

// A line per update (kJson: one object per line), counted from 0; `example` counts the examples seen before it.
void PlanUpdates(const schedule::Plan& plan, Format format, std::ostream& out);

}  // namespace crescendo::report

namespace crescendo {

template <>
inline constexpr auto kEnumCases<report::Format> = std::to_array<EnumCase<report::Format>>({
    {report::Format::kTable, "table", "aligned columns for the eye"},
    {report::Format::kJson, "json", "one JSON object; of updates, one per line"},
    {report::Format::kCsv, "csv", "comma-separated values under a line of names"},
});

}  // namespace crescendo
