// crescendo config: every option there is, or a config with everything filled in.
#include <iostream>
#include <memory>

#include "crescendo/cli/arguments.h"
#include "crescendo/cli/commands.h"
#include "crescendo/config/describe.h"
#include "crescendo/config/load.h"

namespace crescendo::cli {

void AddConfigCommand(CLI::App& app, int& /*exit_code*/) {
  auto arguments = std::make_shared<ConfigArguments>();
  CLI::App* command = app.add_subcommand("config", "list every option, or print a config with everything filled in");
  arguments->AddTo(*command);
  command->footer(R"(Examples:
  crescendo config
  crescendo config recipes/letter/grow.toml
  crescendo config recipes/letter/grow.toml schedule.max_batch=1600)");
  command->callback([arguments] {
    if (arguments->file.empty()) {
      std::cout << config::DescribeAll();
    } else {
      std::cout << config::ToToml(config::LoadFile(arguments->file, arguments->overrides));
    }
  });
}

}  // namespace crescendo::cli
