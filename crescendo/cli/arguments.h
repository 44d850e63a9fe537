// What several commands take.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <vector>

#include "crescendo/base/enum_names.h"

namespace crescendo::cli {

// CONFIG [key=value ...]
struct ConfigArguments {
  std::string file;
  std::vector<std::string> overrides;

  CLI::Option* AddTo(CLI::App& command) {
    CLI::Option* config = command.add_option("CONFIG", file, "config file (TOML); recipes/ holds some");
    command.add_option("KEY=VALUE", overrides, "options to change, as schedule.max_batch=5120");
    return config;
  }
};

// An option whose values are the names of an enum; help and errors list them.
template <class E>
void AddEnumOption(CLI::App& command, const std::string& flag, E& value, const std::string& sentence) {
  std::map<std::string, E> names;
  std::string list;
  for (const EnumCase<E>& entry : kEnumCases<E>) {
    names[std::string(entry.name)] = entry.value;
    list += (list.empty() ? "" : ", ") + std::string(entry.name);
  }
  command.add_option(flag, value, sentence + ": " + list)
      ->transform(CLI::CheckedTransformer(names).description(""))
      ->default_str(std::string(NameOf(value)));
}

}  // namespace crescendo::cli
