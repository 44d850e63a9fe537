// Files that a command is asked to write beside a run: charts and reports.
#pragma once

#include <string>
#include <string_view>

namespace crescendo::cli {

// Writes `text` into `path`, as `flag` (such as "--out") said, and replaces a file that could be what an earlier call
// wrote. UserError where another stands there: a config, a file of a run.
void WriteOutput(std::string_view flag, const std::string& path, std::string_view text);

}  // namespace crescendo::cli
