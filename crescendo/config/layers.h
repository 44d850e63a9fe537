// A config whose upper layers stand in a file of another kind, as the variants of a study do.
//
//   Options options = LoadLayers("reference.toml", std::move(layers), {"data.folder=/data"});
#pragma once

#include <toml++/toml.h>

#include <filesystem>
#include <string>
#include <vector>

#include "crescendo/config/options.h"

namespace crescendo::config {

// Sections and options, as a config file holds them (but no base).
struct TableLayer {
  toml::table table;           // moved here, not copied: a copy forgets where its values stand
  std::filesystem::path file;  // for messages, and what the files it names are relative to
};

// LoadFile with layers between the file `path` and the command line; a later one wins.
Options LoadLayers(const std::filesystem::path& path, std::vector<TableLayer> tables,
                   const std::vector<std::string>& overrides = {});

}  // namespace crescendo::config
