// run.jsonl: what a run did, one JSON object per line, written while it runs.
//
//   RunLog log(folder / "run.jsonl");
//   log.Header(header);
//   log.Update(record);           // for every update that is to be logged
//   log.Evaluation(evaluation);
//   log.Footer(footer);
//
//   RunLog log(path, RunLog::Open::kAppend);   // a resumed run, after CutRunLog (log_continuation.h)
//   log.Resume(record);
//
//   RunSummary run = ReadRunLog(folder / "run.jsonl");
//
// Lines are buffered; they reach the file at the header, at every evaluation, at the footer and every few seconds in
// between, so a killed run loses seconds of its log. Numbers come back exactly as they were. docs/formats/run_log.md is
// the page of the format.
#pragma once

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crescendo/report/record.h"

namespace crescendo::report {

// What every run log begins with.
inline constexpr std::string_view kRunLogBegin = R"({"type":"header")";

// Not for use by two threads at a time.
class RunLog {
 public:
  enum class Open { kReplace, kAppend };

  // Replaces what is at `path`, or goes on behind it. RunError, naming the file and the system's reason, if it cannot
  // be written; so do all others below.
  explicit RunLog(std::filesystem::path path, Open open = Open::kReplace);
  ~RunLog();  // flushes; a failure here is not reported, one in Footer is
  RunLog(const RunLog&) = delete;
  RunLog& operator=(const RunLog&) = delete;

  void Header(const RunHeader& header);
  void Resume(const ResumeRecord& record);
  void Update(const UpdateRecord& record);
  void Evaluation(const EvaluationRecord& record);
  void Footer(const RunFooter& footer);
  void Flush();

 private:
  void Write(std::string line);
  [[noreturn]] void Fail() const;

  std::filesystem::path path_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  std::chrono::steady_clock::time_point flushed_;
};

// A run log without its updates.
struct RunSummary {
  RunHeader header;
  std::vector<ResumeRecord> resumes;
  std::vector<EvaluationRecord> evaluations;
  std::optional<RunFooter> footer;  // none: the run was killed, or still goes on
  int64_t logged_updates = 0;       // lines of type "update"
  std::string warning;  // "" or a sentence: the last line is cut off (and was left out), the footer is missing
};

// UserError, naming file and line, where it is not a run log: unreadable, no header first, a line (but the last) that
// is not a record. `on_update` sees each update that was logged, with what the log keeps of it: in its setting, no
// begin and no rate of the reference.
RunSummary ReadRunLog(const std::filesystem::path& path,
                      const std::function<void(const UpdateRecord&)>& on_update = {});

}  // namespace crescendo::report
