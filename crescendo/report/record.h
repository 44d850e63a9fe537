// What a run says about itself, as plain values: a header, a record per update, one per evaluation, a footer. The
// trainer fills them; observers write them (run_log.h, event_log.h) or show them (progress.h). Nothing steers a run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "crescendo/base/enum_names.h"
#include "crescendo/schedule/plan.h"

namespace crescendo::report {

// When, where and with what a run is trained without a break: a run that is stopped and resumed has several.
struct Sitting {
  std::string started;  // UTC, ISO 8601
  std::string crescendo_version;
  std::string commit;  // of the source tree; "" where it was not built from one
  std::string torch_version;
  std::string machine;  // processor, cores, memory
  std::string device;   // "cpu" or "cuda:0 (NVIDIA ...)"
  std::string gpu_id;   // which of all GPUs it is, as `nvidia-smi -L` names it; "" on a CPU, and in older logs
  int64_t workers = 1;  // that were started
  int64_t threads = 0;  // of each
  int64_t micro_batch = 0;
};

// Which program it was: the commit, or the version where it was not built from a source tree.
inline const std::string& SourceOf(const Sitting& sitting) {
  return sitting.commit.empty() ? sitting.crescendo_version : sitting.commit;
}

// The first sitting, and what holds for all.
struct RunHeader : Sitting {
  std::string config_toml;  // resolved
  std::string compiler;
  int64_t parameters = 0;
  int64_t train_examples = 0;
  int64_t test_examples = 0;
  int64_t total_updates = 0;
  int64_t total_examples = 0;
  // Of a run that began from the state of another: which, and where. "" and 0 otherwise.
  std::string branched_from;
  schedule::Examples begin_examples;
};

struct EvaluationRecord {
  schedule::Updates updates;    // done so far
  schedule::Examples examples;  // seen so far
  double epoch = 0;
  double loss = 0;           // mean over the test set
  double accuracy = 0;       // share of the test set, 0 to 1
  double train_seconds = 0;  // training time so far, without evaluations
};

// A run goes on after it was stopped, from its checkpoint at this position.
struct ResumeRecord : Sitting {
  schedule::Updates updates;
  schedule::Examples examples;
  double train_seconds = 0;
  std::string changes;          // options that differ from before, "key=value" by spaces; "" where none does
  EvaluationRecord evaluation;  // the last before, updates 0 where there was none; not written to the log again
};

// Of one of several workers, at an update.
struct WorkerRecord {
  double examples_per_second = 0;  // since the last record, while it computed and did not wait
  double loader_wait_seconds = 0;  // so far, waiting for examples
  double group_wait_seconds = 0;   // so far, waiting for other workers
};

struct UpdateRecord {
  schedule::Setting setting;
  double epoch = 0;                   // examples seen after this update / N
  double loss = 0;                    // mean over the examples since the last record, before their updates' steps
  double examples_per_second = 0;     // since the last record
  double seconds = 0;                 // training time so far, without evaluations
  double loader_wait_seconds = 0;     // of that, waiting for examples; worker 0's
  std::vector<WorkerRecord> workers;  // by number; none where there is only one
};

enum class RunEnd { kFinished, kInterrupted, kFailed };

struct RunFooter {
  RunEnd end = RunEnd::kFinished;
  std::string reason;   // of an interruption or failure; "" otherwise
  int stop_signal = 0;  // of an interruption; not written to the log
  schedule::Updates updates;
  schedule::Examples examples;
  EvaluationRecord final_evaluation;  // the last one: of a finished run, of the weights as saved; updates 0: none
  double train_seconds = 0;
  double total_seconds = 0;
  // Of the checkpoints that this process wrote: how many, how long training waited for them (not for the one at its
  // end), and how long writing them took.
  int64_t checkpoints = 0;
  double checkpoint_stall_seconds = 0;
  double checkpoint_write_seconds = 0;
};

}  // namespace crescendo::report

namespace crescendo {

template <>
inline constexpr auto kEnumCases<report::RunEnd> = std::to_array<EnumCase<report::RunEnd>>({
    {report::RunEnd::kFinished, "finished", "to the end of the plan"},
    {report::RunEnd::kInterrupted, "interrupted", "by a signal"},
    {report::RunEnd::kFailed, "failed", "by a loss that is not a number, or by the machine"},
});

}  // namespace crescendo
