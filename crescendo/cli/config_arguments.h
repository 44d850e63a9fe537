// CONFIG [key=value ...], as plan, train and config take them.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace crescendo::cli {

struct ConfigArguments {
  std::string file;
  std::vector<std::string> overrides;

  CLI::Option* AddTo(CLI::App& command) {
    CLI::Option* config = command.add_option("CONFIG", file, "config file (TOML); recipes/ holds some");
    command.add_option("KEY=VALUE", overrides, "options to change, as schedule.max_batch=5120");
    return config;
  }
};

}  // namespace crescendo::cli
