// What the folder of a study holds: a folder for each run, which tells by itself which run it is and how it ended.
//
//   RUNS/grow-3-58a1c90e/
//     trial.toml    the resolved config, under a line with its digest; written before the run starts
//     output.txt    what the run printed
//     crash.txt     where the program did not live to write its footer: how it ended
//     earlier.txt   of each try that failed before this one, a line: "crashed: signal 9 (Killed)"
//     run.jsonl, weights.safetensors, ...   as `crescendo train` leaves them
//
// Runs are found by their digest and not by their name, so variants may be renamed, and studies that state the same
// `runs` share what they have in common.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "crescendo/study/trials.h"

namespace crescendo::study {

enum class TrialState {
  kWaiting,   // not begun, or begun and stopped before its end
  kRunning,   // only while this program runs it
  kFinished,  // trained to the end of its plan
  kFailed,    // diverged: its loss became infinite or not a number
  kCrashed,   // the program died
};

inline bool HasEnded(TrialState state) { return state != TrialState::kWaiting && state != TrialState::kRunning; }

struct TrialRun {
  std::filesystem::path folder;
  TrialState state = TrialState::kWaiting;
  std::string reason;                     // of a failure or crash, or why it cannot go on
  std::vector<std::string> earlier = {};  // the lines of earlier.txt
  bool stopped = false;                   // waits because it was asked to stop: its log has the footer of that
  double share_done = 0;                  // of its examples, 0 to 1, where it has begun
  double accuracy = -1;                   // of a finished run, 0 to 1
  double seconds = 0;                     // that it took, where it has ended,
  double train_seconds = 0;               // and without its start and evaluations
};

// Begun, and something that it needs is not as it was: `reason` says what. As RunStudy found; files do not tell.
inline bool CannotGoOn(const TrialRun& run) {
  return run.state == TrialState::kWaiting && !run.stopped && !run.reason.empty();
}

// For each trial, its run, found in study.runs or with the folder where it is to be made.
std::vector<TrialRun> FindRuns(const Study& study, const std::vector<Trial>& trials);

// A line per run under a line of names, for a person and for grep: digest, variant, seed, updates, folder, and last its
// state: "done", "running" (in whatever program), "stopped", "failed", "crashed", "not begun".
std::string RunList(const Study& study, const std::vector<Trial>& trials, const std::vector<TrialRun>& runs);

// Where none of the trials has a run though the folder holds runs: of how many and which other settings they are, and
// the change that may find them: "runs/letter holds 2 runs of other settings (run.precision); give the changes they
// were made with, e.g. run.precision=bf16"; or that the content of their data files has changed since. Else "".
std::string RunsOfOtherSettings(const Study& study, const std::vector<Trial>& trials,
                                const std::vector<TrialRun>& runs);

// Whether a program trains in `folder` now. Not to be asked before there is a log: a run that begins must find its
// folder free.
bool IsLocked(const std::filesystem::path& folder);

// How the run in `folder` stands, from its files.
TrialRun LookAt(const std::filesystem::path& folder, const Trial& trial);

std::filesystem::path TrialFile(const std::filesystem::path& folder);
std::filesystem::path OutputFile(const std::filesystem::path& folder);
std::filesystem::path CrashFile(const std::filesystem::path& folder);
std::filesystem::path EarlierFile(const std::filesystem::path& folder);
std::filesystem::path LogFile(const std::filesystem::path& folder);

// The runs that `folder` holds, by name. None where it is no folder.
std::vector<std::filesystem::path> RunsIn(const std::filesystem::path& folder);

// UserError where `path` is a config, a study or a folder of runs, any of which is easily given in a run's place. What
// else is wrong with it shows when it is read.
void RequireRun(const std::filesystem::path& path);

// A run that failed or crashed is to be run again: puts how it ended into earlier.txt, so that a report still tells it,
// and takes crash.txt away. Nothing for another run. RunError where it cannot.
void KeepEarlierTry(const std::filesystem::path& folder, const Trial& trial);

// Makes the folder of a trial ready to be run from its beginning. RunError where it cannot.
void PrepareFolder(const std::filesystem::path& folder, const Trial& trial);

}  // namespace crescendo::study
