// Runs what a study still lacks: each run a process of its own (`crescendo train`), so that one that crashes is a
// failed run and not the end of the study, several at a time, in the order of ShuffledOrder.
//
//   const RunnerResult result = RunStudy(study, trials, {.program = "/proc/self/exe", .jobs = 2, .cores = 2}, stop);
//
// Every run that has ended before is left as it is; one that was stopped is resumed. While it works it holds a lock
// on the study's folder.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "crescendo/study/runs.h"

namespace crescendo::study {

struct RunnerOptions {
  // Is called as PROGRAM train CONFIG --out FOLDER --force [key=value], and where a run was stopped on its way as
  // PROGRAM resume FOLDER --start-over [key=value].
  std::filesystem::path program;
  int64_t jobs = 1;               // runs at a time
  int64_t cores = 1;              // shared out among them, where the config leaves run.threads to us
  std::vector<std::string> gpus;  // as CUDA_VISIBLE_DEVICES names them, shared out among the runs; empty: none
  bool retry_failed = false;      // run again what failed or crashed
  int fd = 2;                     // where progress is shown
};

// As runs are made whose time is measured: one at a time, since two would take it from each other, and with as many
// threads as a run has beside the others.
RunnerOptions AloneOnTheMachine(RunnerOptions options);

struct RunnerResult {
  std::vector<TrialRun> runs;  // one for each trial
  int64_t started = 0;         // in this call
  std::string mistake;         // where a run said that something given cannot work (exit code 2): which run, and what
};

// `stop`: the number of the signal that asks for an end, else 0. All running runs are then asked to end with what they
// have, and this returns. So it is where a run that begins says that something given cannot work, since it would not in
// the others either. A run that something else stopped, or that cannot go on from what it has, waits for the next call.
// UserError where another program works on the study.
RunnerResult RunStudy(const Study& study, const std::vector<Trial>& trials, const RunnerOptions& options,
                      const std::atomic<int>& stop);

// "2 runs to go; the same command goes on from here; 1 run crashed; --retry-failed runs it again"; "" where all have
// ended as runs should.
std::string WhatIsLeft(const std::vector<TrialRun>& runs);

}  // namespace crescendo::study
