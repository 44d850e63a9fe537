// crescendo profile: where the time of an update goes.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "crescendo/cli/arguments.h"
#include "crescendo/cli/commands.h"
#include "crescendo/cli/launch.h"
#include "crescendo/cli/output_file.h"
#include "crescendo/cli/run_screen.h"
#include "crescendo/config/load.h"
#include "crescendo/profile/profile.h"

namespace crescendo::cli {
namespace {

struct Arguments {
  ConfigArguments config;
  std::optional<int64_t> updates;
  std::string at;
  std::optional<int64_t> phase;
  std::string trace;
  bool force = false;
  report::ProfileFormat format = report::ProfileFormat::kTable;
  int64_t workers = 0;
};

// Starts this program again as the workers, which are given what this one was given.
int Launch(const Arguments& arguments, const config::Options& options) {
  (void)train::BuildPlan(options);  // what is wrong with it is said once
  std::vector<std::string> command = {"crescendo", "profile", arguments.config.file};
  command.insert(command.end(), arguments.config.overrides.begin(), arguments.config.overrides.end());
  if (arguments.updates) command.insert(command.end(), {"--updates", std::to_string(*arguments.updates)});
  if (!arguments.at.empty()) command.insert(command.end(), {"--at", arguments.at});
  if (arguments.phase) command.insert(command.end(), {"--phase", std::to_string(*arguments.phase)});
  if (!arguments.trace.empty()) command.insert(command.end(), {"--trace", arguments.trace});
  if (arguments.force) command.emplace_back("--force");
  command.insert(command.end(), {"--format", std::string(NameOf(arguments.format))});
  // Nothing is restarted, so the folder of a run is not asked for.
  return LaunchWorkers({.workers = arguments.workers}, command, train::RunFolder{""}, options);
}

// Before all the work, and not when its trace cannot be written.
void RequireFree(const Arguments& arguments) {
  if (!arguments.force && std::filesystem::exists(arguments.trace)) {
    throw UserError(
        fmt::format("--trace {}: there is such a file; give another name, or --force to replace it", arguments.trace));
  }
  RequireWritable("--trace", arguments.trace);
}

int Profile(const Arguments& arguments) {
  const config::Options options = config::LoadFile(arguments.config.file, arguments.config.overrides);
  const auto place = train::ThisWorker();
  profile::Request request;
  request.config = arguments.config.file;
  request.phase = arguments.phase;
  request.updates = arguments.updates;
  request.trace = !arguments.trace.empty();
  if (!arguments.at.empty()) {
    request.at = config::ParsePosition(arguments.at);
    if (!request.at) throw UserError(fmt::format("--at {} is not a position, such as 60ep or 40ksp", arguments.at));
  }
  if (request.trace && place.rank == 0) RequireFree(arguments);
  if (arguments.workers > 0) return Launch(arguments, options);
  if (place.rank == 0) {
    request.tell = [](const std::string& sentence) { std::cerr << fmt::format("crescendo: {}\n", sentence); };
  }

  const profile::Result result = profile::ProfileTraining(options, request, CatchStopSignals(), place);
  if (result.stop_signal != 0) {
    if (place.rank == 0) std::cerr << fmt::format("crescendo: stopped by signal {}\n", result.stop_signal);
    return 128 + result.stop_signal;
  }
  if (place.rank > 0) return 0;
  std::cout.exceptions(std::ios::badbit);  // nothing is left that is worth more than what is printed
  switch (arguments.format) {
    case report::ProfileFormat::kTable:
      std::cout << report::ProfileTable(result.profile);
      break;
    case report::ProfileFormat::kJson:
      std::cout << report::ProfileJson(result.profile);
      break;
  }
  std::cout.flush();
  if (request.trace) WriteFileAtomically(arguments.trace, result.trace);
  return 0;
}

}  // namespace

void AddProfileCommand(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("profile", "measure where the time of an update goes, and how fast each layer is");
  arguments->config.AddTo(*command)->required();
  command
      ->add_option("--updates", arguments->updates,
                   "how many updates to measure; without it, what three seconds hold, at least 2")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}));
  CLI::Option* at = command->add_option("--at", arguments->at, "measure the phase that is in force here, as 60ep");
  command->add_option("--phase", arguments->phase, "measure this phase, as crescendo plan numbers them")->excludes(at);
  CLI::Option* trace = command->add_option(
      "--trace", arguments->trace,
      "also trace every operator of a few updates into this file, for chrome://tracing or ui.perfetto.dev");
  command->add_flag("--force", arguments->force, "replace the file of --trace")->needs(trace);
  command->add_option("--ranks", arguments->workers, "with so many workers on this machine; shown is the first")
      ->check(CLI::Range(int64_t{1}, int64_t{4096}));
  AddEnumOption(*command, "--format", arguments->format, "how to print it");
  command->footer(R"(Trains for a few seconds as crescendo train does, logs included, and keeps nothing of it.
GB/s are of inputs and outputs, each once; roofline is the time a layer would take at the speed that
was measured for the machine, over the time it took.
Examples:
  crescendo profile recipes/letter/grow.toml
  crescendo profile recipes/paper/cifar10/grow.toml --at 160ep run.precision=bf16
  crescendo profile recipes/letter/grow.toml --phase 4 --updates 50 --trace trace.json)");
  command->callback([arguments, &exit_code] { exit_code = Profile(*arguments); });
}

}  // namespace crescendo::cli
