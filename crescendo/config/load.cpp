#include "crescendo/config/load.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <algorithm>
#include <map>
#include <utility>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "crescendo/base/nearest_name.h"
#include "crescendo/config/describe.h"
#include "crescendo/config/fields.h"
#include "crescendo/config/layers.h"
#include "crescendo/config/position_table_file.h"
#include "crescendo/config/toml_text.h"
#include "crescendo/config/validate.h"
#include "crescendo/config/value_codec.h"

namespace crescendo::config {
namespace {

namespace fs = std::filesystem;

// One key and its value, where it stands.
struct Statement {
  std::string key;
  const toml::node* value;
  std::string key_place;
  std::string value_place;
};

// One file, or one override.
struct Layer {
  toml::table table = {};
  std::string name;      // the path as the user wrote it, or "command line: ..."
  fs::path folder = {};  // what its files are relative to
  int rank = 0;          // a higher one wins; all overrides have the same
  bool is_command_line = false;
  std::string command_line_text = {};  // the value as it was typed
};

std::string Place(const Layer& layer, const toml::source_region& source) {
  if (layer.is_command_line) return layer.name;
  return fmt::format("{}:{}:{}", layer.name, source.begin.line, source.begin.column);
}

// ---- Names

// All the keys whose last part is `name`.
std::vector<std::string> KeysNamed(std::string_view name) {
  std::vector<std::string> keys = AllKeys();
  std::erase_if(keys, [&](const std::string& key) { return key.substr(key.find('.') + 1) != name; });
  return keys;
}

// "did you mean schedule.max_batch?" for a name that is no option of `section`: the same name elsewhere, then the
// nearest of the section, then the nearest of all; else the names that there are.
std::string WhatWasMeant(std::string_view section, std::string_view name) {
  if (name == "base") return "base stands above the first section of a file";
  if (const auto same = KeysNamed(name); !same.empty()) return fmt::format("did you mean {}?", fmt::join(same, " or "));

  std::vector<std::string> of_section;
  std::vector<std::string> of_all;
  for (const std::string& key : AllKeys()) {
    const size_t dot = key.find('.');
    of_all.push_back(key.substr(dot + 1));
    if (key.substr(0, dot) == section) of_section.push_back(of_all.back());
  }
  if (const std::string near = NearestName(name, of_section); !near.empty()) {
    return fmt::format("did you mean {}.{}?", section, near);
  }
  if (const std::string near = NearestName(name, of_all); !near.empty()) {
    return fmt::format("did you mean {}?", fmt::join(KeysNamed(near), " or "));
  }
  return of_section.empty() ? fmt::format("the sections are {}", fmt::join(AllSections(), ", "))
                            : fmt::format("[{}] has {}", section, fmt::join(of_section, ", "));
}

std::vector<Statement> Statements(const Layer& layer) {
  const std::vector<std::string> sections = AllSections();
  const std::vector<std::string> keys = AllKeys();
  std::vector<Statement> statements;
  for (const auto& [section, section_value] : layer.table) {
    const std::string place = Place(layer, section.source());
    const bool is_known = std::ranges::find(sections, section.str()) != sections.end();
    const toml::table* table = section_value.as_table();
    if (table == nullptr && is_known) {
      throw UserError(
          fmt::format("{}: {} is a section, not an option: write [{}] and its options below, or {}.KEY = VALUE", place,
                      section.str(), section.str(), section.str()));
    }
    if (table == nullptr) {
      throw UserError(
          fmt::format("{}: {} is not an option; {}", place, Shortened(section.str()), WhatWasMeant("", section.str())));
    }
    if (!is_known) {
      const std::string hint = DidYouMean(section.str(), sections);
      throw UserError(
          fmt::format("{}: {} is not a section{}", place, Shortened(section.str()),
                      hint.empty() ? fmt::format("; the sections are {}", fmt::join(sections, ", ")) : hint));
    }
    for (const auto& [name, value] : *table) {
      statements.push_back({fmt::format("{}.{}", section.str(), name.str()), &value, Place(layer, name.source()),
                            Place(layer, value.source())});
    }
  }
  // In the order of the file, so that the first mistake is told first.
  std::ranges::stable_sort(statements, [](const Statement& a, const Statement& b) {
    return std::pair(a.value->source().begin.line, a.value->source().begin.column) <
           std::pair(b.value->source().begin.line, b.value->source().begin.column);
  });
  for (const Statement& statement : statements) {
    if (std::ranges::find(keys, statement.key) != keys.end()) continue;
    const size_t dot = statement.key.find('.');
    throw UserError(fmt::format("{}: {} is not an option; {}", statement.key_place, Shortened(statement.key),
                                WhatWasMeant(statement.key.substr(0, dot), statement.key.substr(dot + 1))));
  }
  return statements;
}

// ---- Values

// The problem, or "".
template <class T>
std::string ReadValue(const Layer&, const Statement& statement, T& value, const Description& description) {
  return ReadField(*statement.value, value, description);
}

// A table may stand in a file of its own.
std::string ReadValue(const Layer& layer, const Statement& statement, PositionTable& value,
                      const Description& description) {
  const auto* file = statement.value->as_string();
  if (file == nullptr || file->get().empty()) return ReadField(*statement.value, value, description);
  try {
    value = ReadPositionTable(layer.folder / file->get(), statement.key, description);
    return "";
  } catch (const UserError& error) {
    return error.what();
  }
}

template <class T>
void ReadStatement(const Layer& layer, const Statement& statement, T& value, const Description& description) {
  const auto fail = [&](std::string_view problem) {
    if (layer.is_command_line) throw UserError(fmt::format("{}: {}", layer.name, problem));  // KEY=VALUE as typed
    throw UserError(
        fmt::format("{}: {} = {}: {}", statement.value_place, statement.key, GivenText(*statement.value), problem));
  };
  std::string problem = ReadValue(layer, statement, value, description);
  if constexpr (std::is_same_v<T, std::string>) {
    if (!problem.empty() && layer.is_command_line) {  // data.missing=0 means the text "0"
      value = layer.command_line_text;
      problem.clear();
    }
  }
  if (!problem.empty()) fail(problem);
  const std::vector<double> numbers = NumbersIn(value);
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (description.minimum <= numbers[i] && numbers[i] <= description.maximum) continue;
    const std::string which =
        statement.value->is_array() ? fmt::format("item {}, {}: ", i + 1, NumberText(numbers[i])) : "";
    fail(fmt::format("{}it must be {}", which, BoundsText(description)));
  }
  if constexpr (std::is_same_v<T, std::string>) {
    if (description.is_file && !value.empty()) value = fs::absolute(layer.folder / value).lexically_normal().string();
  }
}

void Apply(const Layer& layer, const Statement& statement, Options& options) {
  VisitFields(options, [&](const std::string& key, auto& value, const Description& description) {
    if (key == statement.key) ReadStatement(layer, statement, value, description);
  });
}

// ---- Layers

// `text` and what it is based on, the last base first. `files` are the paths on the way here.
void AddFileLayers(std::string_view text, const fs::path& path, std::vector<fs::path> files,
                   std::vector<Layer>& layers) {
  Layer layer{.table = ParseToml(text, path.string()), .name = path.string(), .folder = path.parent_path()};
  files.push_back(path);
  if (const toml::node* variants = layer.table.get("variants")) {
    throw UserError(
        fmt::format("{0}: variants make this a study, and a config is wanted; `crescendo compare {1}` runs it",
                    Place(layer, variants->source()), path.string()));
  }

  if (const toml::node* base = layer.table.get("base")) {
    const std::string place = fmt::format("{}: base = {}", Place(layer, base->source()), GivenText(*base));
    if (!base->is_string()) throw UserError(place + ": it must be the path of a config file, in quotes");
    const fs::path base_path = (layer.folder / base->as_string()->get()).lexically_normal();
    const auto is_base = [&](const fs::path& file) {
      return fs::weakly_canonical(file) == fs::weakly_canonical(base_path);
    };
    if (std::ranges::any_of(files, is_base)) {
      std::vector<std::string> circle;
      for (const fs::path& file : files) circle.push_back(file.string());
      throw UserError(fmt::format("{}: files that are based on each other in a circle: {} -> {}", place,
                                  fmt::join(circle, " -> "), base_path.string()));
    }
    std::string base_text;
    try {
      base_text = ReadFile(base_path);
    } catch (const UserError& error) {
      throw UserError(fmt::format("{}: {}", place, error.what()));
    }
    AddFileLayers(base_text, base_path, files, layers);
    layer.table.erase("base");
  }
  layer.rank = static_cast<int>(layers.size());
  layers.push_back(std::move(layer));
}

// The value of an override: TOML, or else text.
void SetOverride(std::string_view text, toml::table& table, std::string_view name) {
  try {
    toml::table parsed = ParseToml(fmt::format("value = {}", text), "");
    if (parsed.size() == 1) {
      table.insert(name, std::move(*parsed.get("value")));
      return;
    }
  } catch (const UserError&) {
  }
  table.insert(name, text);
}

Layer OverrideLayer(const std::string& given, int rank) {
  Layer layer{.name = fmt::format("command line: {}", given), .rank = rank, .is_command_line = true};
  const size_t equals = given.find('=');
  const size_t dot = given.find('.');
  if (equals == std::string::npos || equals == 0) {
    throw UserError(fmt::format(
        "{}: an option is set by section.key=value without spaces, such as schedule.max_batch=5120", layer.name));
  }
  layer.command_line_text = given.substr(equals + 1);
  if (dot == std::string::npos || dot > equals) {
    const std::string key = given.substr(0, equals);
    if (key == "base") throw UserError(fmt::format("{}: a base is stated in a config file, not here", layer.name));
    SetOverride(layer.command_line_text, layer.table, key);
  } else {
    toml::table section;
    SetOverride(layer.command_line_text, section, given.substr(dot + 1, equals - dot - 1));
    layer.table.insert(given.substr(0, dot), std::move(section));
  }
  return layer;
}

// ---- All together

struct Stated {
  Layer* layer;
  Statement statement;
};

using StatedByKey = std::map<std::string, Stated, std::less<>>;

// Takes out what has lost its meaning by a later layer; refuses what never had one.
void RetireOrRefuse(const Options& options, StatedByKey& stated) {
  for (const auto& [key, unmet] : UnmetConditions(options)) {
    const auto own = stated.find(key);
    if (own == stated.end()) continue;
    const auto cause = stated.find(unmet.condition.key);
    if (cause != stated.end() && cause->second.layer->rank > own->second.layer->rank) {
      stated.erase(own);
      continue;
    }
    throw UserError(fmt::format("{}: {} means something only with {}, but {} = {}{}", own->second.statement.key_place,
                                key, ToText(unmet.condition), unmet.condition.key, unmet.value,
                                cause == stated.end() ? " (its default)" : ""));
  }
}

// A table's file may hold more than a config can, and the config that a run keeps has to be read again.
void RequireConfigSize(const Options& options) {
  const size_t size = ToToml(options).size();
  if (size <= kLargestText) return;
  std::string tables;
  VisitFields(options, [&](const std::string& key, const auto& value, const Description&) {
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, PositionTable>) {
      if (!value.empty()) tables += fmt::format("{}{} has {} rows", tables.empty() ? "" : ", ", key, value.size());
    }
  });
  throw UserError(
      fmt::format("{}: with all its tables the config has {} bytes, and it may have {}: {}; keep every tenth "
                  "row, say",
                  options.places.find("")->second, size, kLargestText, tables));
}

Options Load(std::vector<Layer> layers, const std::string& source_name) {
  StatedByKey stated;
  Options options;
  for (Layer& layer : layers) {
    for (Statement& statement : Statements(layer)) {
      Apply(layer, statement, options);  // also what a later layer replaces: a mistake is a mistake
      stated.insert_or_assign(statement.key, Stated{&layer, statement});
    }
  }
  RetireOrRefuse(options, stated);

  options = Options{};
  options.places = {{"", source_name}};
  for (const auto& [key, entry] : stated) {
    Apply(*entry.layer, entry.statement, options);
    options.places[key] = entry.statement.key_place;
  }
  if (options.optimizer.name == OptimizerName::kSgd && !stated.contains("reference.momentum")) {
    options.reference.momentum = 0;
  }
  const DatasetName data = options.data.name;
  if ((data == DatasetName::kMnist || data == DatasetName::kFashionMnist) && !stated.contains("data.flip")) {
    options.data.flip = false;
  }
  Validate(options);
  RequireConfigSize(options);
  return options;
}

}  // namespace

Options LoadText(std::string_view text, const fs::path& source_name, const std::vector<std::string>& overrides) {
  std::vector<Layer> layers;
  AddFileLayers(text, source_name, {}, layers);
  const int rank = static_cast<int>(layers.size());
  for (const std::string& given : overrides) layers.push_back(OverrideLayer(given, rank));
  return Load(std::move(layers), source_name.string());
}

Options LoadLayers(const fs::path& path, std::vector<TableLayer> tables, const std::vector<std::string>& overrides) {
  std::vector<Layer> layers;
  AddFileLayers(ReadFile(path), path, {}, layers);
  for (TableLayer& table : tables) {
    const int rank = static_cast<int>(layers.size());
    layers.push_back({.table = std::move(table.table),
                      .name = table.file.string(),
                      .folder = table.file.parent_path(),
                      .rank = rank});
  }
  const int rank = static_cast<int>(layers.size());
  for (const std::string& given : overrides) layers.push_back(OverrideLayer(given, rank));
  return Load(std::move(layers), path.string());
}

Options LoadFile(const fs::path& path, const std::vector<std::string>& overrides) {
  std::error_code none;
  if (const fs::path of_run = path / "config.toml"; fs::is_directory(path, none) && fs::exists(of_run, none)) {
    throw UserError(fmt::format("cannot read {}: it is a folder; its config is {}", path.string(), of_run.string()));
  }
  return LoadText(ReadFile(path), path, overrides);
}

}  // namespace crescendo::config
