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

// A run that came to an end of its own, as by a loss that is not a number, would come to the same end again.
bool EndedByItself(const train::RunFolder& folder) {
  if (!std::filesystem::exists(folder.log())) return false;
  const std::optional<report::RunFooter> footer = report::ReadRunLog(folder.log()).footer;
  return footer && footer->end != report::RunEnd::kInterrupted;
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

// What goes on with the run in `folder`. A run that has not come so far as to write its config has nothing to go on
// from; one that was resumed is resumed again, with the options that were changed.
std::vector<std::string> CommandAfter(const std::vector<std::string>& command, const train::RunFolder& folder) {
  if (!std::filesystem::exists(folder.config())) return command;
  std::vector<std::string> next = {command[0], "resume", folder.path().string()};
  if (command.size() > next.size() && std::equal(next.begin(), next.end(), command.begin())) next = command;
  if (std::ranges::find(next, "--start-over") == next.end()) next.emplace_back("--start-over");
  return next;
}

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
  for (int64_t restart = 1;; ++restart) {
    const distributed::LaunchResult result = distributed::RunWorkers(command, workers, grace);
    if (!result.reason.empty()) std::cerr << fmt::format("crescendo: {}\n", result.reason);
    if (result.exit_code != kFailed || result.stopped || restart > arguments.restarts || EndedByItself(folder)) {
      return result.exit_code;
    }
    if (arguments.workers_after_restart > 0) workers = WithWork(arguments.workers_after_restart, options);
    command = CommandAfter(command, folder);
    std::cerr << fmt::format("crescendo: going on with {} {} (restart {} of {})\n", workers,
                             workers == 1 ? "worker" : "workers", restart, arguments.restarts);
  }
}

}  // namespace crescendo::cli
