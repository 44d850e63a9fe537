// Where a run stands, from the last lines of its log alone: a log of a long run takes seconds to read whole.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "crescendo/report/record.h"

namespace crescendo::report {

struct RunTail {
  std::optional<RunEnd> end;  // none: the run was killed, or still goes on
  std::string reason;         // of an interruption or failure
  int64_t examples = 0;       // seen so far
  double accuracy = -1;       // of a finished run, 0 to 1; below 0: none
  double seconds = 0;         // a run that has ended: from its start to its end,
  double train_seconds = 0;   // and of these, those of its updates
};

// nullopt where there is no such file, or no whole line in it but the header.
std::optional<RunTail> ReadRunTail(const std::filesystem::path& path);

}  // namespace crescendo::report
