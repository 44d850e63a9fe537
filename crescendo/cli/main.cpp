// crescendo, the program: one command per file, and the only catch.
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "crescendo/base/error.h"
#include "crescendo/base/nearest_name.h"
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
  crescendo predict runs/mine data.test_file=new.csv --out classes.csv
Exit codes: 0 done; 1 the work failed; 2 it cannot be done as asked, found before the work; 128 + n by signal n.)";

// CLI11 asks for "a subcommand" whatever was given in its place.
void RequireKnownCommand(const CLI::App& app, const std::string& given) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  if (given.starts_with('-') || std::find(names.begin(), names.end(), given) != names.end()) return;
  throw crescendo::UserError(
      fmt::format("there is no command '{}'{}", given, crescendo::DidYouMeanOrAll(given, names)));
}

// "there is no --rank; did you mean --ranks?", or "" where all flags among the words that were not understood exist.
std::string UnknownFlag(const CLI::App& command, const std::vector<std::string>& words) {
  const auto unknown =
      std::ranges::find_if(words, [](const std::string& word) { return word.starts_with('-') && word != "--"; });
  if (unknown == words.end()) return "";
  const std::string given = unknown->substr(0, unknown->find('='));
  std::vector<std::string> flags;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  }
  return fmt::format("there is no {}{}", given, crescendo::DidYouMean(given, flags));
}

// "crescendo train: CONFIG is required", and how to find out more.
std::string ParseFailure(const CLI::App* app, const CLI::Error& error) {
  std::string command = app->get_name();
  const CLI::App* last = app;
  for (const CLI::App* chosen : app->get_subcommands()) {
    command += " " + chosen->get_name();
    last = chosen;
  }
  const std::string unknown = UnknownFlag(*last, app->remaining(/*recurse=*/true));
  return fmt::format("{}: {}\n`{} --help` shows what it takes.\n", command, unknown.empty() ? error.what() : unknown,
                     command);
}

int Run(int argc, char** argv) {
  CLI::App app(kDescription, "crescendo");
  app.footer(kExamples);
  app.set_version_flag("--version", crescendo::cli::VersionText);
  app.require_subcommand(1);
  app.failure_message(ParseFailure);
  int exit_code = 0;
  crescendo::cli::AddPlanCommand(app, exit_code);
  crescendo::cli::AddTrainCommand(app, exit_code);
  crescendo::cli::AddResumeCommand(app, exit_code);
  crescendo::cli::AddEvalCommand(app, exit_code);
  crescendo::cli::AddPredictCommand(app, exit_code);
  crescendo::cli::AddProfileCommand(app, exit_code);
  crescendo::cli::AddCompareCommand(app, exit_code);
  crescendo::cli::AddReportCommand(app, exit_code);
  crescendo::cli::AddDigestCommand(app, exit_code);
  crescendo::cli::AddConfigCommand(app, exit_code);
  crescendo::cli::AddFetchCommand(app, exit_code);
  if (argc < 2) {
    std::cerr << app.help();
    return kUserMistake;
  }
  RequireKnownCommand(app, argv[1]);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool asked = error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success);  // --help, --version
    app.exit(error, std::cout, std::cerr);
    return asked ? 0 : kUserMistake;
  }
  std::cout.flush();
  return exit_code;
}

int Tell(int exit_code, std::string_view what) {
  std::cout.exceptions(std::ios::goodbit);  // which cerr flushes before it writes
  std::cerr << "crescendo: " << what << '\n';
  return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  std::cout.exceptions(std::ios::badbit);  // what cannot be printed ends the program: nobody waits for the rest
  try {
    return Run(argc, argv);
  } catch (const crescendo::UserError& error) {
    return Tell(kUserMistake, error.what());
  } catch (const crescendo::RunError& error) {
    return Tell(kFailed, error.what());
  } catch (const std::ios_base::failure&) {
    return Tell(kFailed, "cannot write to the standard output");
  } catch (const std::filesystem::filesystem_error& error) {
    // From looking at what was given: where files are worked on, this is caught.
    return Tell(kUserMistake, fmt::format("{}: {}", error.path1().string(), error.code().message()));
  } catch (const std::bad_alloc&) {
    return Tell(kFailed, "not enough memory");
  } catch (const c10::Error& error) {
    return Tell(kFailed, error.what_without_backtrace());
  } catch (const std::exception& error) {
    return Tell(kFailed, fmt::format("unexpected: {}", error.what()));
  }
}
