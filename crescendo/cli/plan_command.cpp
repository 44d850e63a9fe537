// crescendo plan: what `train` will do, before it does it.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "crescendo/cli/arguments.h"
#include "crescendo/cli/commands.h"
#include "crescendo/cli/launch.h"
#include "crescendo/cli/output_file.h"
#include "crescendo/config/load.h"
#include "crescendo/report/plan_chart.h"
#include "crescendo/report/plan_report.h"
#include "crescendo/report/text_table.h"
#include "crescendo/schedule/workers.h"
#include "crescendo/train/build.h"
#include "crescendo/train/growth.h"

namespace crescendo::cli {
namespace {

struct Arguments {
  std::vector<std::string> configs_and_overrides;
  report::Format format = report::Format::kTable;
  bool updates = false;
  std::string chart;
  int64_t workers = schedule::kAnyNumber;
};

struct Named {
  std::string file;
  config::Options options;
  schedule::Plan plan;
};

// Words with "=" are overrides and hold for all configs.
std::vector<Named> MakePlans(const std::vector<std::string>& words) {
  std::vector<std::string> files;
  std::vector<std::string> overrides;
  for (const std::string& word : words) (word.find('=') == std::string::npos ? files : overrides).push_back(word);
  if (files.empty()) throw UserError("crescendo plan needs a config file; recipes/ holds some");
  std::vector<Named> plans;
  for (const std::string& file : files) {
    config::Options options = config::LoadFile(file, overrides);
    schedule::Plan plan = train::BuildPlan(options);
    plans.push_back({file, std::move(options), std::move(plan)});
  }
  return plans;
}

bool WorkersGrow(const Named& named) { return named.options.run.workers == config::Workers::kGrow; }

// Of a plan whose workers grow; else nothing.
report::PlanWorkers WorkersOf(const Named& named, int64_t started) {
  if (!WorkersGrow(named)) return {};
  return {.of_phases = train::WorkersOfPhases(named.options, named.plan, started),
          .worker_batch = train::WorkerBatchOf(named.options)};
}

// LAMB's steps are as long whatever the second moment is.
double Beta2Of(const config::OptimizerOptions& optimizer) {
  const bool is_adam =
      optimizer.name == config::OptimizerName::kAdam || optimizer.name == config::OptimizerName::kAdamW;
  return is_adam ? optimizer.beta2 : 0;
}

void PrintPhases(const std::vector<Named>& plans, report::Format format, int64_t started) {
  for (const Named& named : plans) {
    const report::PlanWorkers workers = WorkersOf(named, started);
    switch (format) {
      case report::Format::kTable:
        if (&named != &plans.front()) std::cout << '\n';
        std::cout << report::PlanTable(
            named.plan, {.config = named.file,
                         .train_set = std::string(NameOf(named.options.data.name)),
                         .workers = workers,
                         .ghost_batch = named.options.model.batch_norm ? named.options.model.ghost_batch : 0,
                         .beta2 = Beta2Of(named.options.optimizer),
                         .width = report::TerminalWidth(STDOUT_FILENO).value_or(0)});
        break;
      case report::Format::kJson:
        std::cout << report::PlanJson(named.plan, workers);
        break;
      case report::Format::kCsv:
        std::cout << report::PlanCsv(named.plan, workers);
        break;
    }
  }
}

void WriteChart(const std::vector<Named>& plans, const std::string& file) {
  if (!file.ends_with(".svg"))
    throw UserError(fmt::format("--chart {}: a chart is SVG; give a name that ends in .svg", file));
  RequireOutput("--chart", file);
  std::vector<report::NamedPlan> curves;
  for (const Named& named : plans) curves.push_back({std::filesystem::path(named.file).stem().string(), named.plan});
  WriteFileAtomically(file, report::PlanChartSvg(curves));
}

void Plan(const Arguments& arguments) {
  const std::vector<Named> plans = MakePlans(arguments.configs_and_overrides);
  if (arguments.workers != schedule::kAnyNumber && std::ranges::none_of(plans, WorkersGrow)) {
    throw UserError(
        fmt::format("--ranks {} means something only with run.workers = grow, and in {} the workers are fixed: all of "
                    "them compute every phase; run.workers=grow plans for others",
                    arguments.workers, plans.front().file));
  }
  if (!arguments.chart.empty()) {
    WriteChart(plans, arguments.chart);
    return;
  }
  if (plans.size() > 1 && (arguments.updates || arguments.format != report::Format::kTable)) {
    throw UserError(fmt::format("{} configs were given; --updates and --format {} print one", plans.size(),
                                NameOf(arguments.format)));
  }
  if (arguments.updates) {
    report::PlanUpdates(plans.front().plan, arguments.format, std::cout);
  } else {
    PrintPhases(plans, arguments.format, arguments.workers);
  }
}

}  // namespace

void AddPlanCommand(CLI::App& app, int& /*exit_code*/) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("plan", "print what train will do, phase by phase, beside the reference");
  command
      ->add_option("CONFIG", arguments->configs_and_overrides,
                   "config files (TOML; recipes/ holds some), and options to change, as schedule.max_batch=5120")
      ->required();
  CLI::Option* format = AddEnumOption(*command, "--format", arguments->format, "how to print it");
  CLI::Option* updates =
      command->add_flag("--updates", arguments->updates, "one line for each update instead of each phase");
  command
      ->add_option("--chart", arguments->chart,
                   "draw the plans of all configs into an SVG file: learning rate, batch, noise scale")
      ->excludes(format)
      ->excludes(updates);
  command
      ->add_option_function<int64_t>(
          "--ranks", [arguments](int64_t ranks) { arguments->workers = ranks; },
          "with run.workers = grow: how many workers there are; without it, as many as the plan could use")
      ->check(kNumberOfWorkers);
  command->footer(R"(Examples:
  crescendo plan recipes/paper/cifar10/grow.toml
  crescendo plan recipes/paper/cifar10/grow.toml schedule.max_batch=5120
  crescendo plan recipes/paper/cifar10/grow.toml --format json
  crescendo plan recipes/letter/grow.toml --updates --format csv
  crescendo plan recipes/letter/decay.toml recipes/letter/grow.toml --chart plans.svg)");
  command->callback([arguments] { Plan(*arguments); });
}

}  // namespace crescendo::cli
