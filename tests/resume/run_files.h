// Small runs in folders, and what is compared between them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "crescendo/report/record.h"
#include "crescendo/train/observer.h"

namespace crescendo::support {

// tests/equivalence/small_run.h's config with a checkpoint after every update, all of them kept. 46 updates in phases
// that begin with updates 0, 25 and 38; an epoch ends inside an update.
std::string CheckpointedConfig();

// In this process.
report::RunFooter TrainHere(const std::filesystem::path& folder, const std::vector<std::string>& overrides = {});
report::RunFooter ResumeHere(const std::filesystem::path& folder, const std::vector<std::string>& overrides = {});

// The sentences that PrepareResume warns with, and where its checkpoint stands.
struct Found {
  int64_t examples = -1;  // -1: no checkpoint
  std::string warnings;
};
Found FindCheckpoint(const std::filesystem::path& folder, const std::vector<std::string>& overrides = {});

// What a run whose process was killed after this checkpoint leaves behind: no later checkpoint, no weights, and logs
// that are ahead of the checkpoint.
void CopyAsKilledAfter(const std::filesystem::path& from, const std::filesystem::path& to, int64_t updates);

// The log without what differs between any two runs: times, the footer's checkpoints, and resume records.
std::string TimelessLog(const std::filesystem::path& folder);

// tag and step of each scalar on both axes, in order: TensorBoard's order of files.
std::vector<std::string> EventSteps(const std::filesystem::path& folder);

// Weights, log and event steps are those of the other run.
void ExpectSameRun(const std::filesystem::path& run, const std::filesystem::path& other);

}  // namespace crescendo::support
