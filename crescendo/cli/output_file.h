// Files that a command is asked to write beside a run: charts and reports.
#pragma once

#include <string>
#include <string_view>

namespace crescendo::cli {

// UserError, before the work, where no file can be made at `path`, which `flag` (such as "--out") gave.
void RequireWritable(std::string_view flag, const std::string& path);

// The same, and where a file stands there that could not be what an earlier call wrote: a config, a file of a run.
void RequireOutput(std::string_view flag, const std::string& path);

// Writes `text` into the file at `path` and says so, or, where `path` is "", to standard output.
void WriteOutput(const std::string& path, const std::string& text);

}  // namespace crescendo::cli
