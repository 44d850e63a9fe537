#include "crescendo/cli/launch.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <optional>

#include "crescendo/base/error.h"
#include "crescendo/distributed/local_launcher.h"
#include "crescendo/report/run_log.h"
#include "crescendo/train/checkpoint.h"
#include "crescendo/train/growth.h"

namespace crescendo::cli {
namespace {

constexpr int kFailed = 1;
constexpr double kLongestGrace = 30;  // seconds

void RequireUnlaunched(const distributed::WorkerPlace& place) {
  if (place.size == 1) return;
  throw UserError(
      fmt::format("--ranks was given, but {} has started this already as worker {} of {}; leave --ranks out",
                  place.started_by, place.rank, place.size));
}

// A process for which no phase of the plan has work would wait to the end.
int64_t WithWork(int64_t workers, const config::Options& options) {
  const int64_t most = train::WorkersOfPhases(options, train::BuildPlan(options), workers).back();
  if (most < workers) {
    std::cerr << fmt::format("crescendo: {} of {} workers are started: the largest batch has work for no more\n", most,
                             workers);
  }
  return most;
}

// The run that a command is about, as the folder tells of it. What a forced run is to replace is not that run.
class LaunchedRun {
 public:
  LaunchedRun(std::vector<std::string> command, const train::RunFolder& folder)
      : command_(std::move(command)),
        folder_(folder),
        resumes_(Resumes(command_)),
        begins_branch_(!folder.HoldsFiles() && std::ranges::find(command_, "--branch") != command_.end()),
        config_before_(ConfigWritten()) {}

  // A run that came to an end of its own, as by a loss that is not a number, would come to the same end again.
  bool EndedByItself() const {
    if (!HasBegun() || !std::filesystem::exists(folder_.log())) return false;
    const std::optional<report::RunFooter> footer = report::ReadRunLog(folder_.log()).footer;
    return footer && footer->end != report::RunEnd::kInterrupted;
  }

  // What starts it, or goes on with it: one that was resumed with the options that were changed.
  std::vector<std::string> NextCommand() const {
    // A branch whose start was not kept yet is begun again; what stands in its folder is its own.
    if (begins_branch_ && train::ListCheckpoints(folder_.checkpoints()).empty()) {
      folder_.Clear();
      return command_;
    }
    if (!HasBegun()) return command_;
    std::vector<std::string> next = resumes_ ? command_ : CommandThatResumes();
    if (std::ranges::find(next, "--start-over") == next.end()) next.emplace_back("--start-over");
    return next;
  }

 private:
  std::vector<std::string> CommandThatResumes() const { return {command_[0], "resume", folder_.path().string()}; }

  bool Resumes(const std::vector<std::string>& command) const {
    const std::vector<std::string> start = CommandThatResumes();
    return command.size() >= start.size() && std::equal(start.begin(), start.end(), command.begin());
  }

  std::optional<std::filesystem::file_time_type> ConfigWritten() const {
    std::error_code none;
    const auto time = std::filesystem::last_write_time(folder_.config(), none);
    return none ? std::nullopt : std::optional(time);
  }

  bool HasBegun() const { return ConfigWritten() && (resumes_ || ConfigWritten() != config_before_); }

  const std::vector<std::string> command_;
  const train::RunFolder& folder_;
  const bool resumes_;
  const bool begins_branch_;
  const std::optional<std::filesystem::file_time_type> config_before_;
};

}  // namespace

void LaunchArguments::AddTo(CLI::App& command) {
  CLI::Option* ranks =
      command.add_option("--ranks", workers, "train with so many workers on this machine")->check(kNumberOfWorkers);
  CLI::Option* again =
      command.add_option("--restarts", restarts, "start the workers again, so many times at most, when one was lost")
          ->check(CLI::Range(int64_t{0}, int64_t{1'000'000}))
          ->needs(ranks);
  command
      .add_option("--restart-ranks", workers_after_restart, "how many workers then; as many as before, if not given")
      ->check(kNumberOfWorkers)
      ->needs(again);
}

int LaunchWorkers(const LaunchArguments& arguments, std::vector<std::string> command, const train::RunFolder& folder,
                  const config::Options& options) {
  RequireUnlaunched(train::ThisWorker());
  const double seconds = std::min(options.run.worker_timeout, kLongestGrace);
  const auto grace = std::chrono::milliseconds(static_cast<int64_t>(1000 * seconds));
  int64_t workers = WithWork(arguments.workers, options);
  const LaunchedRun run(command, folder);
  for (int64_t restart = 1;; ++restart) {
    const distributed::LaunchResult result = distributed::RunWorkers(command, workers, grace);
    if (!result.reason.empty()) std::cerr << fmt::format("crescendo: {}\n", result.reason);
    if (result.exit_code != kFailed || result.stopped || restart > arguments.restarts || run.EndedByItself()) {
      return result.exit_code;
    }
    if (arguments.workers_after_restart > 0) workers = WithWork(arguments.workers_after_restart, options);
    command = run.NextCommand();
    std::cerr << fmt::format("crescendo: going on with {} {} (restart {} of {})\n", workers,
                             workers == 1 ? "worker" : "workers", restart, arguments.restarts);
  }
}

}  // namespace crescendo::cli
