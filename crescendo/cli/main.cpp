// crescendo, the program: one command per file, and the only catch.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>

#include "crescendo/base/error.h"
#include "crescendo/cli/commands.h"

namespace {

constexpr int kFailed = 1;
constexpr int kUserMistake = 2;

constexpr const char* kDescription =
    "Train with a growing batch instead of a falling learning rate.\n"
    "A learning-rate schedule that works becomes the batch schedule with the same noise scale, under your limits.";

constexpr const char* kExamples = R"(Examples:
  crescendo plan recipes/letter/grow.toml
  crescendo train recipes/letter/grow.toml --out runs/grow
  crescendo resume runs/grow
  crescendo eval runs/grow
Exit codes: 0 done; 1 the run failed; 2 something given cannot work; 128 + n ended by signal n.)";

int Run(int argc, char** argv) {
  CLI::App app(kDescription, "crescendo");
  app.footer(kExamples);
  app.set_version_flag("--version", crescendo::cli::VersionText);
  app.require_subcommand(1);
  int exit_code = 0;
  crescendo::cli::AddPlanCommand(app, exit_code);
  crescendo::cli::AddTrainCommand(app, exit_code);
  crescendo::cli::AddResumeCommand(app, exit_code);
  crescendo::cli::AddEvalCommand(app, exit_code);
  crescendo::cli::AddCompareCommand(app, exit_code);
  crescendo::cli::AddReportCommand(app, exit_code);
  crescendo::cli::AddDigestCommand(app, exit_code);
  crescendo::cli::AddConfigCommand(app, exit_code);
  crescendo::cli::AddFetchCommand(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool asked = error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success);  // --help, --version
    app.exit(error, std::cout, std::cerr);
    return asked ? 0 : kUserMistake;
  }
  return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return Run(argc, argv);
  } catch (const crescendo::UserError& error) {
    std::cerr << "crescendo: " << error.what() << '\n';
    return kUserMistake;
  } catch (const crescendo::RunError& error) {
    std::cerr << "crescendo: " << error.what() << '\n';
    return kFailed;
  } catch (const std::exception& error) {
    std::cerr << "crescendo: unexpected: " << error.what() << '\n';
    return kFailed;
  }
}
