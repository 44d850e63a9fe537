// What several commands take.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "crescendo/base/enum_names.h"

namespace crescendo::cli {

// What options that are changed on the command line are called in its help. CLI11 takes no = in a name.
inline constexpr const char* kChanges = "CHANGES";

// CONFIG [KEY=VALUE ...]
struct ConfigArguments {
  std::string file;
  std::vector<std::string> overrides;

  CLI::Option* AddTo(CLI::App& command) {
    CLI::Option* config = command.add_option("CONFIG", file, "config file (TOML); recipes/ holds some");
    command.add_option(kChanges, overrides, "KEY=VALUE: options to change, as schedule.max_batch=5120");
    return config;
  }
};

// An option whose values are the names of an enum; help and errors list them. `value` must live until `command` has
// run.
template <class E>
CLI::Option* AddEnumOption(CLI::App& command, const std::string& flag, E& value, const std::string& sentence) {
  std::string list;
  for (const EnumCase<E>& entry : kEnumCases<E>) list += (list.empty() ? "" : ", ") + std::string(entry.name);
  const auto read = [flag, list, &value](const std::string& given) {
    const auto named = ParseEnum<E>(given);
    if (!named) throw CLI::ValidationError(flag, "there is no " + given + "; there are " + list);
    value = *named;
  };
  return command.add_option_function<std::string>(flag, read, sentence + ": " + list)
      ->type_name("NAME")
      ->default_str(std::string(NameOf(value)));
}

}  // namespace crescendo::cli
