// crescendo train: run a plan into a folder.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <memory>

#include "crescendo/cli/arguments.h"
#include "crescendo/cli/commands.h"
#include "crescendo/config/load.h"
#include "crescendo/report/progress.h"
#include "crescendo/train/build.h"
#include "crescendo/train/session.h"

namespace crescendo::cli {
namespace {

struct Arguments {
  ConfigArguments config;
  std::string out;
  bool force = false;
};

std::atomic<int> stop_signal = 0;

// The first SIGINT or SIGTERM asks the run to end with what it has; a second one ends the program at once.
void CatchStopSignals() {
  struct sigaction action {};
  action.sa_handler = [](int signal) { stop_signal = signal; };
  action.sa_flags = SA_RESETHAND;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

// Shows the records of the run on the terminal.
class Screen : public train::Observer {
 public:
  explicit Screen(const schedule::Plan& plan) : progress_(plan) {}
  void OnHeader(const report::RunHeader& header) override { progress_.Header(header); }
  void OnUpdate(const report::UpdateRecord& record) override { progress_.Update(record); }
  void OnEvaluation(const report::EvaluationRecord& record) override { progress_.Evaluation(record); }
  void OnFooter(const report::RunFooter& footer) override { progress_.Footer(footer); }

 private:
  report::Progress progress_;
};

int Train(const Arguments& arguments) {
  const config::Options options = config::LoadFile(arguments.config.file, arguments.config.overrides);
  const schedule::Plan plan = train::BuildPlan(options);
  const std::filesystem::path path =
      arguments.out.empty()
          ? train::RunFolder::NextFree("runs", std::filesystem::path(arguments.config.file).stem().string())
          : std::filesystem::path(arguments.out);
  const train::RunFolder folder = train::RunFolder::Create(path, arguments.force);

  CatchStopSignals();
  Screen screen(plan);
  const report::RunFooter footer = train::TrainInto(folder, options, {&screen}, stop_signal);

  switch (footer.end) {
    case report::RunEnd::kFinished:
      std::cout << fmt::format("test accuracy {:.2f} %, loss {:.6f}, {} updates, {}\n",
                               100 * footer.final_evaluation.accuracy, footer.final_evaluation.loss,
                               footer.updates.value(), folder.path().string());
      return 0;
    case report::RunEnd::kInterrupted:
      std::cerr << fmt::format("crescendo: {} after {} of {} updates; {} holds what there is\n", footer.reason,
                               footer.updates.value(), plan.total_updates().value(), folder.path().string());
      return 128 + stop_signal;
    case report::RunEnd::kFailed:
      std::cerr << fmt::format("crescendo: {}\n", footer.reason);
      return 1;
  }
  return 1;
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
Ctrl-C ends the run with what it has; a second one ends the program at once.)");
  command->callback([arguments, &exit_code] { exit_code = Train(*arguments); });
}

}  // namespace crescendo::cli
