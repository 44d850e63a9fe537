// Makes the logs of a stopped run ready to go on from a checkpoint: what was written after it is cut off, since the
// resumed run writes it again.
//
//   LogPosition position{updates, examples, ...};
//   RunLogCut cut = CutRunLog(folder / "run.jsonl", position);
//   CutEventLog(folder / "events", position);
//   RunLog log(folder / "run.jsonl", RunLog::Open::kAppend);
//   EventLog events(folder / "events");              // a file of its own, behind the others
//
// Records stand in the order of time, so each file is cut at its first record of the future, in place.
#pragma once

#include <filesystem>
#include <string>

#include "crescendo/schedule/units.h"

namespace crescendo::report {

// What a checkpoint has seen. The last evaluation is told apart, because one may stand at the position of the
// checkpoint and be made after it.
struct LogPosition {
  schedule::Updates updates;
  schedule::Examples examples;
  schedule::Updates evaluated_updates;  // of the last evaluation; 0: none
  schedule::Examples evaluated_examples;
};

struct RunLogCut {
  bool has_header = false;  // false: there is nothing to go on from; begin a new log
  std::string warning;      // "" or a sentence: records from before the position are lost
};

// Cuts a log of JSON lines: records after the position, the footer, and whatever cannot be read with all behind it.
// RunError where the file cannot be changed.
RunLogCut CutRunLog(const std::filesystem::path& path, const LogPosition& position);

// The same for both axes of an event folder. A folder that is not there is left so.
void CutEventLog(const std::filesystem::path& folder, const LogPosition& position);

}  // namespace crescendo::report
