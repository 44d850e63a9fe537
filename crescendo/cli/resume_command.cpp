// crescendo resume: go on with a run that was stopped, or branch off another from its state.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>

#include "crescendo/base/error.h"
#include "crescendo/cli/commands.h"
#include "crescendo/cli/run_screen.h"
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
};

void Warn(const std::string& sentence) { std::cerr << fmt::format("crescendo: warning: {}\n", sentence); }

int StartOver(const train::RunFolder& old, const std::vector<std::string>& overrides) {
  train::Parts parts = train::Build(train::OptionsOf(old, overrides));
  Warn(fmt::format("{} holds no checkpoint to go on from; it begins again", old.path().string()));
  const train::RunFolder folder = train::RunFolder::Create(old.path(), /*force=*/true);
  RunScreen screen(parts.plan);
  return ReportEnd(train::TrainInto(folder, parts, {&screen}, CatchStopSignals()), parts.plan, folder);
}

int Resume(const Arguments& arguments) {
  const train::RunFolder folder{arguments.folder};
  if (const auto footer = train::FinishedRun(folder)) {
    std::cout << fmt::format(
        "{} has finished: test accuracy {:.2f} %, {} updates; --branch NEWDIR schedule.length=... trains on from its "
        "last checkpoint\n",
        folder.path().string(), 100 * footer->final_evaluation.accuracy, footer->updates.value());
    return 0;
  }
  const std::optional<train::Continuation> next = train::PrepareResume(folder, arguments.overrides, Warn);
  if (!next && arguments.start_over) return StartOver(folder, arguments.overrides);
  if (!next) {
    throw UserError(
        fmt::format("{} holds no checkpoint to go on from; --start-over begins the run again", folder.path().string()));
  }
  const schedule::Plan plan = train::BuildPlan(next->options);
  RunScreen screen(plan);
  return ReportEnd(train::ResumeIn(folder, *next, {&screen}, CatchStopSignals()), plan, folder);
}

int Branch(const Arguments& arguments) {
  std::optional<config::Position> at;
  if (!arguments.at.empty()) {
    at = config::ParsePosition(arguments.at);
    if (!at) throw UserError(fmt::format("--at {} is not a position, such as 60ep or 40ksp", arguments.at));
  }
  const train::Continuation next =
      train::PrepareBranch(train::RunFolder{arguments.folder}, arguments.overrides, at, Warn);
  const schedule::Plan plan = train::BuildPlan(next.options);
  const train::RunFolder folder = train::RunFolder::Create(arguments.branch, /*force=*/false);
  RunScreen screen(plan);
  return ReportEnd(train::BranchInto(folder, next, {&screen}, CatchStopSignals()), plan, folder);
}

}  // namespace

void AddResumeCommand(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("resume", "go on with a run that was stopped, to the same bits");
  command->add_option("RUN", arguments->folder, "the run's folder")->required();
  command->add_option("KEY=VALUE", arguments->overrides,
                      "options to change: those that change nothing that is learned, as data.folder=/data; with "
                      "--branch, any");
  CLI::Option* branch =
      command->add_option("--branch", arguments->branch, "begin a new run in this folder from the state of RUN");
  command->add_option("--at", arguments->at, "branch from the last checkpoint at this position or before, as 60ep")
      ->needs(branch);
  command
      ->add_flag("--start-over", arguments->start_over,
                 "where there is no checkpoint to go on from, begin the run again")
      ->excludes(branch);
  command->footer(R"(Examples:
  crescendo resume runs/grow
  crescendo resume runs/grow data.folder=/data
  crescendo resume runs/grow --branch runs/longer schedule.length=300ep
  crescendo resume runs/grow --branch runs/decay --at 60ep schedule.policy=decay)");
  command->callback(
      [arguments, &exit_code] { exit_code = arguments->branch.empty() ? Resume(*arguments) : Branch(*arguments); });
}

}  // namespace crescendo::cli
