// crescendo resume: go on with a run that was stopped, or branch off another from its state.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>

#include "crescendo/base/error.h"
#include "crescendo/cli/arguments.h"
#include "crescendo/cli/commands.h"
#include "crescendo/cli/launch.h"
#include "crescendo/cli/run_screen.h"
#include "crescendo/cli/warn.h"
#include "crescendo/study/runs.h"
#include "crescendo/train/build.h"
#include "crescendo/train/session.h"

namespace crescendo::cli {
namespace {

struct Arguments {
  std::string folder;
  std::vector<std::string> overrides;
  bool start_over = false;
  std::string branch;
  std::string at;
  LaunchArguments launch;
};

// Of several workers, one warns.
train::Warn WarnFor(const distributed::WorkerPlace& place) {
  if (place.rank == 0) return Warn;
  return [](const std::string&) {};
}

int StartOver(const train::RunFolder& old, const std::vector<std::string>& overrides,
              const distributed::WorkerPlace& place) {
  train::Parts parts = train::Build(train::OptionsOf(old, overrides), place);
  if (place.rank == 0) {
    Warn(fmt::format("{} holds no checkpoint to go on from; it begins again", old.path().string()));
    old.Clear();  // it was locked when it was looked for a checkpoint
  }
  RunScreen screen(parts.plan);
  return ReportEnd(train::TrainInto(old, parts, {&screen}, CatchStopSignals()), parts.plan, old, place);
}

// Starts this program again as the workers, which are given what this one was given.
int Launch(const Arguments& arguments) {
  const bool branches = !arguments.branch.empty();
  const train::RunFolder folder{branches ? arguments.branch : arguments.folder};
  std::vector<std::string> command = {"crescendo", "resume", arguments.folder};
  command.insert(command.end(), arguments.overrides.begin(), arguments.overrides.end());
  if (arguments.start_over) command.emplace_back("--start-over");
  if (branches) command.insert(command.end(), {"--branch", arguments.branch});
  if (!arguments.at.empty()) command.insert(command.end(), {"--at", arguments.at});
  return LaunchWorkers(arguments.launch, command, folder,
                       train::OptionsOf(train::RunFolder{arguments.folder}, arguments.overrides));
}

int Resume(const Arguments& arguments) {
  const auto place = train::ThisWorker();
  const train::RunFolder folder{arguments.folder};
  if (const auto footer = train::FinishedRun(folder)) {
    // So that a mistake in them is told.
    if (!arguments.overrides.empty()) train::OptionsOf(folder, arguments.overrides);
    if (place.rank > 0) return 0;
    if (!arguments.overrides.empty()) {
      Warn(fmt::format("{} changes nothing: the run has finished", fmt::join(arguments.overrides, " ")));
    }
    std::cout << fmt::format(
        "{} has finished: test accuracy {:.2f} %, {} updates; --branch NEWDIR schedule.length=... trains on from its "
        "last checkpoint\n",
        folder.path().string(), 100 * footer->final_evaluation.accuracy, footer->updates.value());
    return 0;
  }
  const std::optional<train::Continuation> next =
      train::PrepareResume(folder, arguments.overrides, WarnFor(place), place);
  const size_t unreadable = next ? 0 : train::ListCheckpoints(folder.checkpoints()).size();
  if (unreadable > 0) {  // to begin again would remove them
    throw UserError(
        fmt::format("none of the {} checkpoints in {} can be read; to begin the run again, move them away first",
                    unreadable, folder.checkpoints().string()));
  }
  if (!next) train::RefuseToStartOver(folder);
  if (!next && arguments.start_over) return StartOver(folder, arguments.overrides, place);
  if (!next) {
    throw UserError(
        fmt::format("{} holds no checkpoint to go on from; --start-over begins the run again", folder.path().string()));
  }
  const schedule::Plan plan = train::BuildPlan(next->options);
  RunScreen screen(plan);
  return ReportEnd(train::ResumeIn(folder, *next, {&screen}, CatchStopSignals(), place), plan, folder, place);
}

int Branch(const Arguments& arguments) {
  const auto place = train::ThisWorker();
  std::optional<config::Position> at;
  if (!arguments.at.empty()) {
    at = config::ParsePosition(arguments.at);
    if (!at) throw UserError(fmt::format("--at {} is not a position, such as 60ep or 40ksp", arguments.at));
  }
  if (place.rank == 0) train::RunFolder::RequireUsable(arguments.branch, /*force=*/false, "--branch");
  const train::Continuation next =
      train::PrepareBranch(train::RunFolder{arguments.folder}, arguments.overrides, at, WarnFor(place));
  const schedule::Plan plan = train::BuildPlan(next.options);
  const train::RunFolder folder(arguments.branch);
  RunScreen screen(plan);
  return ReportEnd(train::BranchInto(arguments.branch, next, {&screen}, CatchStopSignals(), place), plan, folder,
                   place);
}

}  // namespace

void AddResumeCommand(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("resume", "go on with a run that was stopped, to the same bits");
  command->add_option("RUN", arguments->folder, "the run's folder")->required();
  command->add_option(
      kChanges, arguments->overrides,
      "KEY=VALUE: options to change, as data.folder=/data; with --branch, any. Else those that change nothing of what "
      "is learned: where the data lie, checkpoints, what is logged and when it is tested; and where it is computed "
      "(run.device, threads, micro_batch, gpu_..., the workers), which may change its last bits");
  CLI::Option* branch =
      command->add_option("--branch", arguments->branch, "begin a new run in this folder from the state of RUN");
  command->add_option("--at", arguments->at, "branch from the last checkpoint at this position or before, as 60ep")
      ->needs(branch);
  command
      ->add_flag("--start-over", arguments->start_over,
                 "where there is no checkpoint to go on from, begin the run again")
      ->excludes(branch);
  arguments->launch.AddTo(*command);
  command->footer(R"(Examples:
  crescendo resume runs/grow
  crescendo resume runs/grow data.folder=/data
  crescendo resume runs/grow --ranks 2
  crescendo resume runs/grow run.device=cpu
  crescendo resume runs/grow --branch runs/longer schedule.length=300ep
  crescendo resume runs/grow --branch runs/decay --at 60ep schedule.policy=decay)");
  command->callback([arguments, &exit_code] {
    study::RequireRun(arguments->folder);
    if (arguments->launch.asked()) {
      exit_code = Launch(*arguments);
    } else {
      exit_code = arguments->branch.empty() ? Resume(*arguments) : Branch(*arguments);
    }
  });
}

}  // namespace crescendo::cli
