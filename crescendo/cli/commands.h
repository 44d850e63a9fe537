// The commands of the program. Each adds itself to the command line and, when chosen, does its work inside `app.parse`,
// leaving its exit code in `exit_code`. The user's mistakes are thrown as UserError for main to print.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace crescendo::cli {

void AddPlanCommand(CLI::App& app, int& exit_code);
void AddTrainCommand(CLI::App& app, int& exit_code);
void AddResumeCommand(CLI::App& app, int& exit_code);
void AddEvalCommand(CLI::App& app, int& exit_code);
void AddPredictCommand(CLI::App& app, int& exit_code);
void AddDigestCommand(CLI::App& app, int& exit_code);
void AddProfileCommand(CLI::App& app, int& exit_code);
void AddCompareCommand(CLI::App& app, int& exit_code);
void AddConfigCommand(CLI::App& app, int& exit_code);
void AddFetchCommand(CLI::App& app, int& exit_code);
void AddReportCommand(CLI::App& app, int& exit_code);

std::string VersionText();

}  // namespace crescendo::cli
