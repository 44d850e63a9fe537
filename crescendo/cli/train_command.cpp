// crescendo train: run a plan into a folder.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>

#include "crescendo/cli/arguments.h"
#include "crescendo/cli/commands.h"
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
};

int Train(const Arguments& arguments) {
  const config::Options options = config::LoadFile(arguments.config.file, arguments.config.overrides);
  const schedule::Plan plan = train::BuildPlan(options);
  const std::filesystem::path path =
      arguments.out.empty()
          ? train::RunFolder::NextFree("runs", std::filesystem::path(arguments.config.file).stem().string())
          : std::filesystem::path(arguments.out);
  const train::RunFolder folder = train::RunFolder::Create(path, arguments.force);

  RunScreen screen(plan);
  return ReportEnd(train::TrainInto(folder, options, {&screen}, CatchStopSignals()), plan, folder);
}

}  // namespace

void AddTrainCommand(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("train", "train a network as its plan says");
  arguments->config.AddTo(*command)->required();
  command->add_option("--out", arguments->out,
                      "folder for the run; without it, the first free of runs/NAME-001, runs/NAME-002, ...");
  command->add_flag("--force", arguments->force, "replace the run that --out holds");
  command->footer(R"(Examples:
  crescendo train recipes/letter/grow.toml
  crescendo train recipes/letter/grow.toml --out runs/grow run.seed=2
  crescendo train recipes/paper/cifar10/grow.toml run.precision=bf16
Ctrl-C keeps the state and ends the run, for crescendo resume; a second one ends the program at once.)");
  command->callback([arguments, &exit_code] { exit_code = Train(*arguments); });
}

}  // namespace crescendo::cli
