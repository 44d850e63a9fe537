// crescendo report: runs side by side.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>

#include "crescendo/cli/commands.h"
#include "crescendo/report/comparison.h"
#include "crescendo/train/run_folder.h"

namespace crescendo::cli {
namespace {

// "runs/demo/grow/" -> "grow"
std::string NameOfRun(const std::filesystem::path& folder) {
  return std::filesystem::absolute(folder / "").lexically_normal().parent_path().filename().string();
}

void Report(const std::vector<std::string>& folders) {
  std::vector<report::NamedRun> runs;
  for (const std::string& folder : folders) {
    runs.push_back({NameOfRun(folder), report::ReadRunLog(train::RunFolder(folder).log())});
    if (const std::string& warning = runs.back().run.warning; !warning.empty()) {
      std::cerr << "crescendo: " << warning << '\n';
    }
  }
  std::cout << report::ComparisonTable(runs);
}

}  // namespace

void AddReportCommand(CLI::App& app, int& /*exit_code*/) {
  auto folders = std::make_shared<std::vector<std::string>>();
  CLI::App* command = app.add_subcommand("report", "compare runs: updates, final accuracy, seconds");
  command->add_option("RUN", *folders, "folders of runs, finished or not")->required();
  command->footer(R"(Examples:
  crescendo report runs/demo/decay runs/demo/hybrid runs/demo/grow)");
  command->callback([folders] { Report(*folders); });
}

}  // namespace crescendo::cli
