// crescendo train: run a plan into a folder.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>

#include "crescendo/base/error.h"
#include "crescendo/cli/arguments.h"
#include "crescendo/cli/commands.h"
#include "crescendo/cli/launch.h"
#include "crescendo/cli/run_screen.h"
#include "crescendo/config/load.h"
#include "crescendo/train/build.h"
#include "crescendo/train/session.h"

namespace crescendo::cli {
namespace {

struct Arguments {
  ConfigArguments config;
  std::string out;
  bool force = false;
  LaunchArguments launch;
};

std::string NameOfRun(const Arguments& arguments) {
  return std::filesystem::path(arguments.config.file).stem().string();
}

// What is read for the new run must not go with the old one.
void RequireConfigStays(const train::RunFolder& old, const config::Options& options) {
  for (const auto& [key, place] : options.places) {
    // FILE, or FILE:LINE:COLUMN.
    const std::string file = key.empty() ? place : place.substr(0, place.rfind(':', place.rfind(':') - 1));
    if (!old.WouldClear(file)) continue;
    throw UserError(
        fmt::format("{} says how to train, and --force would remove it with the run in {}; copy it elsewhere and give "
                    "the copy, or choose another --out",
                    file, old.path().string()));
  }
}

// Starts this program again as the workers, which are given what this one was given.
int Launch(const Arguments& arguments, const config::Options& options) {
  (void)train::BuildPlan(options);  // what is wrong with it is said once
  const train::RunFolder folder = arguments.out.empty() ? train::RunFolder::ReserveNext("runs", NameOfRun(arguments))
                                                        : train::RunFolder(arguments.out);
  std::vector<std::string> command = {"crescendo", "train", arguments.config.file};
  command.insert(command.end(), arguments.config.overrides.begin(), arguments.config.overrides.end());
  command.insert(command.end(), {"--out", folder.path().string()});
  if (arguments.force) command.emplace_back("--force");
  return LaunchWorkers(arguments.launch, command, folder, options);
}

// No folder is made or replaced before everything that the config names was found.
int Train(const Arguments& arguments) {
  const config::Options options = config::LoadFile(arguments.config.file, arguments.config.overrides);
  const auto place = train::ThisWorker();
  if (place.rank == 0 && !arguments.out.empty()) train::RunFolder::RequireUsable(arguments.out, arguments.force);
  if (place.rank == 0 && arguments.force) RequireConfigStays(train::RunFolder(arguments.out), options);
  if (arguments.launch.asked()) return Launch(arguments, options);
  const std::atomic<int>& stop = CatchStopSignals();
  train::Parts parts = train::Build(options, place);
  const train::RunFolder folder = place.rank > 0          ? train::RunFolder(arguments.out)
                                  : arguments.out.empty() ? train::RunFolder::CreateNext("runs", NameOfRun(arguments))
                                                          : train::RunFolder::Create(arguments.out, arguments.force);

  if (place.rank == 0 && !options.run.micro_batch && !options.run.reproducible) {
    std::cerr
        << "trying micro-batches for run.micro_batch = \"auto\"; a number makes runs comparable to the last bit\n";
  }
  RunScreen screen(parts.plan);
  return ReportEnd(train::TrainInto(folder, parts, {&screen}, stop), parts.plan, folder, place);
}

}  // namespace

void AddTrainCommand(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("train", "train a network as its plan says");
  arguments->config.AddTo(*command)->required();
  CLI::Option* out = command->add_option(
      "--out", arguments->out, "folder for the run; without it, the first free of runs/NAME-001, runs/NAME-002, ...");
  command->add_flag("--force", arguments->force, "replace the run that --out holds; other files in its folder stay")
      ->needs(out);
  arguments->launch.AddTo(*command);
  command->footer(R"(Examples:
  crescendo train recipes/letter/grow.toml
  crescendo train recipes/paper/cifar10/grow.toml --ranks 4 --restarts 2
  crescendo train recipes/letter/grow.toml --out runs/grow run.seed=2
  crescendo train recipes/paper/cifar10/grow.toml run.precision=bf16
Ctrl-C keeps the state and ends the run, for crescendo resume; another one, a moment later, ends the program at once.)");
  command->callback([arguments, &exit_code] { exit_code = Train(*arguments); });
}

}  // namespace crescendo::cli
