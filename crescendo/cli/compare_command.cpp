// crescendo compare: run a study, all its variants over all its seeds.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>

#include "crescendo/base/error.h"
#include "crescendo/cli/arguments.h"
#include "crescendo/cli/commands.h"
#include "crescendo/cli/run_screen.h"
#include "crescendo/cli/warn.h"
#include "crescendo/report/study_text.h"
#include "crescendo/study/collect.h"
#include "crescendo/study/runner.h"
#include "crescendo/study/stages.h"
#include "crescendo/train/build.h"
#include "crescendo/train/machine.h"

namespace crescendo::cli {
namespace {

struct Arguments {
  std::string study;
  std::vector<std::string> overrides;
  std::optional<int64_t> jobs;
  std::optional<int64_t> seeds;
  bool retry_failed = false;
  bool list = false;
};

study::RunnerOptions OptionsFor(const study::Study& study, const Arguments& arguments) {
  study::RunnerOptions options;
  options.program = std::filesystem::read_symlink("/proc/self/exe");
  options.cores = train::UsableCores();
  const bool any_may_use_a_gpu = std::ranges::any_of(study.variants, [](const study::Variant& variant) {
    return variant.options.run.device != config::DeviceName::kCpu;
  });
  if (any_may_use_a_gpu) options.gpus = train::VisibleGpus();
  const auto devices = static_cast<int64_t>(options.gpus.size());
  options.jobs = arguments.jobs.value_or(devices > 0 ? devices : options.cores);
  options.retry_failed = arguments.retry_failed;
  return options;
}

study::RunnerResult Run(const study::Stage& stage, study::RunnerOptions options, const std::atomic<int>& stop_signal) {
  const study::Study& study = stage.study;
  if (!stage.is_last) options = study::AloneOnTheMachine(options);
  std::cerr << fmt::format("{}: {} variants, {} {}, {} at a time, in {}\n", study.name, study.variants.size(),
                           study.seeds.size(), study.seeds.size() == 1 ? "seed" : "seeds", options.jobs,
                           study.runs.string());
  return study::RunStudy(study, stage.trials, options, stop_signal);
}

int Compare(const Arguments& arguments) {
  const study::Study study = study::LoadStudy(arguments.study, arguments.overrides, arguments.seeds);
  study::Stage stage = study::CurrentStage(study, train::BuildPlan);
  const std::vector<study::TrialRun> found = study::FindRuns(stage.study, stage.trials);
  if (const std::string others = study::RunsOfOtherSettings(stage.study, stage.trials, found); !others.empty()) {
    Warn(others);
  }
  if (arguments.list) {
    std::cout << study::RunList(stage.study, stage.trials, found);
    return 0;
  }
  const study::RunnerOptions options = OptionsFor(study, arguments);
  const std::atomic<int>& stop_signal = CatchStopSignals();
  study::RunnerResult result = Run(stage, options, stop_signal);
  if (!stage.is_last) {
    study::Stage next = study::CurrentStage(study, train::BuildPlan);
    if (next.is_last) {
      stage = std::move(next);
      result = Run(stage, options, stop_signal);
    }
  }
  const report::StudyResults results = study::CollectStudy(stage.study, stage.trials, result.runs);
  std::cout << report::StudyTable(results, report::Summarize(results));
  if (stop_signal != 0) {
    std::cerr << "crescendo: stopped; the same command goes on from here\n";
    return 128 + stop_signal;
  }
  const std::string left = study::WhatIsLeft(result.runs);
  if (!left.empty()) std::cerr << fmt::format("crescendo: {}\n", left);
  if (!result.mistake.empty()) throw UserError(result.mistake);
  return left.empty() ? 0 : 1;
}

}  // namespace

void AddCompareCommand(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("compare", "run a study: variants of a config over several seeds");
  command->add_option("STUDY", arguments->study, "study file (TOML); recipes/ holds some")->required();
  command->add_option(kChanges, arguments->overrides,
                      "KEY=VALUE: options to change in every variant, as data.folder=/data");
  command
      ->add_option("--jobs", arguments->jobs,
                   "runs at a time; without it, one per GPU, or where there is none one per core")
      ->check(CLI::Range(1, 10'000));
  command->add_option("--seeds", arguments->seeds, "the seeds 1 to this, instead of those of the study");
  command->add_flag("--retry-failed", arguments->retry_failed,
                    "go on with what failed or crashed, from its last checkpoint");
  command->add_flag("--list", arguments->list, "print the runs, where they go and how they stand, and run nothing");
  command->footer(R"(Examples:
  crescendo compare recipes/studies/letter.toml
  crescendo compare recipes/studies/letter.toml --seeds 3 --jobs 2
  crescendo compare recipes/paper/5.2.toml data.folder=/data run.precision=bf16
Runs that have ended are not run again. Ctrl-C ends the runs that go on; the same command continues.
`crescendo report STUDY` draws what there is, also while a study goes on.)");
  command->callback([arguments, &exit_code] { exit_code = Compare(*arguments); });
}

}  // namespace crescendo::cli
