// crescendo plan: what `train` will do, before it does it.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "crescendo/cli/arguments.h"
#include "crescendo/cli/commands.h"
#include "crescendo/config/load.h"
#include "crescendo/report/plan_report.h"
#include "crescendo/train/build.h"

namespace crescendo::cli {
namespace {

struct Arguments {
  ConfigArguments config;
  report::Format format = report::Format::kTable;
  bool updates = false;
};

void Print(const Arguments& arguments) {
  const config::Options options = config::LoadFile(arguments.config.file, arguments.config.overrides);
  const schedule::Plan plan = train::BuildPlan(options);
  if (arguments.updates) {
    report::PlanUpdates(plan, arguments.format, std::cout);
    return;
  }
  switch (arguments.format) {
    case report::Format::kTable:
      std::cout << report::PlanTable(
          plan, {.config = arguments.config.file, .train_set = std::string(NameOf(options.data.name))});
      break;
    case report::Format::kJson:
      std::cout << report::PlanJson(plan);
      break;
    case report::Format::kCsv:
      std::cout << report::PlanCsv(plan);
      break;
  }
}

}  // namespace

void AddPlanCommand(CLI::App& app, int& /*exit_code*/) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("plan", "print what train will do, phase by phase, beside the reference");
  arguments->config.AddTo(*command)->required();
  AddEnumOption(*command, "--format", arguments->format, "how to print it");
  command->add_flag("--updates", arguments->updates, "one line for each update instead of each phase");
  command->footer(R"(Examples:
  crescendo plan recipes/paper/cifar10/grow.toml
  crescendo plan recipes/paper/cifar10/grow.toml schedule.max_batch=5120
  crescendo plan recipes/paper/cifar10/grow.toml --format json
  crescendo plan recipes/letter/grow.toml --updates --format csv)");
  command->callback([arguments] { Print(*arguments); });
}

}  // namespace crescendo::cli
