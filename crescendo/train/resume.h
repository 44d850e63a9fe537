// What a stopped run goes on from, and whether it may.
//
//   Continuation next = PrepareResume(folder, {"data.threads=2"}, warn);
//   report::RunFooter footer = ResumeIn(folder, next, watchers, stop);          // session.h
//
//   Continuation next = PrepareBranch(folder, {"schedule.policy=decay"}, {}, warn);
//   report::RunFooter footer = BranchInto("runs/new", next, watchers, stop);
//
// A run that is resumed ends in the same bits as one that was never stopped: options, plan and data must be what they
// were, and device, threads and micro-batch are what they were, also where the config left those to be chosen. Where
// the user says otherwise of these, or the number of workers, the machine or the build is another, sums are taken in
// another order (unless run.reproducible keeps it), and a warning says so. A branch is a new run, with whatever
// options, that begins from the state of another.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crescendo/config/options.h"
#include "crescendo/distributed/worker_place.h"
#include "crescendo/report/record.h"
#include "crescendo/train/checkpoint.h"
#include "crescendo/train/run_folder.h"

namespace crescendo::train {

using Warn = std::function<void(const std::string&)>;

struct Continuation {
  config::Options options;  // as they are recorded
  config::Options layout;   // the same, with what "auto" stood for when the checkpoint was written
  Checkpoint checkpoint;
  std::string changes;        // of options, none of which changes more than the last bits; "key=value key=value"
  std::string branched_from;  // of a branch: where from, for people
  OptimizerState optimizer = OptimizerState::kRequired;
};

// The footer of a run that has finished and has nothing left to do.
std::optional<report::RunFooter> FinishedRun(const RunFolder& folder);

// UserError where the run in `folder` is a branch: begun again, it would be another run. It says what begins it again.
// REQUIRES that no checkpoint is there.
void RefuseToStartOver(const RunFolder& folder);

// The options of the run in `folder`, with overrides. UserError where it holds none.
config::Options OptionsOf(const RunFolder& folder, const std::vector<std::string>& overrides);

// Locks the folder, if this is the worker that writes into it, which is worker 0. nullopt where it holds no checkpoint
// that is whole. UserError: there is no run, or an option or the plan is another; the message shows each difference.
// Data are compared once they are loaded (RequireSameData).
std::optional<Continuation> PrepareResume(const RunFolder& folder, const std::vector<std::string>& overrides,
                                          const Warn& warn, const distributed::WorkerPlace& place = {});

// From the last checkpoint, or the last at `at` or before. UserError where there is none.
Continuation PrepareBranch(const RunFolder& folder, const std::vector<std::string>& overrides,
                           const std::optional<config::Position>& at, const Warn& warn);

// The warning of what the last bits hang on and is another now: "the machine", "a", "b".
std::string OtherBits(std::string_view what, std::string_view before, std::string_view now);

// UserError where the data sets are not those of the checkpoint.
void RequireSameData(const CheckpointState& state, const data::DatasetPair& data);

// Which of the data sets, in words, are not those that the run in `folder` was trained on; "" where none is known to
// be another, as where no checkpoint tells. `train`: nullptr where only the test set is of interest.
std::string ChangedData(const RunFolder& folder, const data::Dataset* train, const data::Dataset& test);

}  // namespace crescendo::train
