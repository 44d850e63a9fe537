// Several workers on this machine, for the commands that train.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "crescendo/config/options.h"
#include "crescendo/train/build.h"
#include "crescendo/train/run_folder.h"

namespace crescendo::cli {

inline const CLI::Range kNumberOfWorkers{int64_t{1}, int64_t{4096}};

// --ranks N [--restarts N [--restart-ranks N]]
struct LaunchArguments {
  int64_t workers = 0;  // 0: this process trains itself
  int64_t restarts = 0;
  int64_t workers_after_restart = 0;  // 0: as before

  bool asked() const { return workers > 0; }
  void AddTo(CLI::App& command);
};

// Runs `command` (of this program; the first word is its name) as the workers of a run into `folder`. Where a worker
// was lost, the run goes on from its last checkpoint, as often as was asked for. Returns the exit code. UserError where
// something else has started this process as one of several workers already.
int LaunchWorkers(const LaunchArguments& arguments, std::vector<std::string> command, const train::RunFolder& folder,
                  const config::Options& options);

}  // namespace crescendo::cli
