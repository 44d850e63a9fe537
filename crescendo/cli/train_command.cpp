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

// No folder is made or replaced before everything that the config names was found.
int Train(const Arguments& arguments) {
  const config::Options options = config::LoadFile(arguments.config.file, arguments.config.overrides);
  if (!arguments.out.empty() && !arguments.force) train::RunFolder::RequireFree(arguments.out);
  const std::atomic<int>& stop = CatchStopSignals();
  train::Parts parts = train::Build(options);
  const train::RunFolder folder =
      arguments.out.empty()
          ? train::RunFolder::CreateNext("runs", std::filesystem::path(arguments.config.file).stem().string())
          : train::RunFolder::Create(arguments.out, arguments.force);

  RunScreen screen(parts.plan);
  return ReportEnd(train::TrainInto(folder, parts, {&screen}, stop), parts.plan, folder);
}

}  // namespace

void AddTrainCommand(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("train", "train a network as its plan says");
  arguments->config.AddTo(*command)->required();
  CLI::Option* out = command->add_option(
      "--out", arguments->out, "folder for the run; without it, the first free of runs/NAME-001, runs/NAME-002, ...");
  command->add_flag("--force", arguments->force, "replace the run that --out holds")->needs(out);
  command->footer(R"(Examples:
  crescendo train recipes/letter/grow.toml
  crescendo train recipes/letter/grow.toml --out runs/grow run.seed=2
  crescendo train recipes/paper/cifar10/grow.toml run.precision=bf16
Ctrl-C keeps the state and ends the run, for crescendo resume; a second one ends the program at once.)");
  command->callback([arguments, &exit_code] { exit_code = Train(*arguments); });
}

}  // namespace crescendo::cli
