#include "crescendo/study/study.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "crescendo/base/nearest_name.h"
#include "crescendo/config/fields.h"
#include "crescendo/config/layers.h"
#include "crescendo/config/toml_text.h"
#include "crescendo/config/value_codec.h"

namespace crescendo::study {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostSeeds = 10'000;

// The file, read with its places.
class Source {
 public:
  explicit Source(fs::path path) : path_(std::move(path)), text_(ReadFile(path_)) {}

  toml::table Parse() const { return config::ParseToml(text_, path_.string()); }

  [[noreturn]] void Fail(const toml::source_region& source, std::string_view message) const {
    throw UserError(fmt::format("{}:{}:{}: {}", path_.string(), source.begin.line, source.begin.column, message));
  }

  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  std::string text_;
};

template <class T>
void Read(const Source& source, std::string_view key, const toml::node& node, T& value) {
  const std::string problem = config::Read(node, value);
  if (!problem.empty()) source.Fail(node.source(), fmt::format("{} = {}: {}", key, config::GivenText(node), problem));
}

// Names are parts of the names of folders, and words in tables.
bool IsName(std::string_view name) {
  const auto fits = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; };
  return !name.empty() && name.front() != '.' && name.front() != '-' && std::ranges::all_of(name, fits);
}

std::vector<int64_t> FirstSeeds(int64_t count) {
  std::vector<int64_t> seeds;
  for (int64_t seed = 1; seed <= count; ++seed) seeds.push_back(seed);
  return seeds;
}

void ReadSeeds(const Source& source, const toml::node& node, std::vector<int64_t>& seeds) {
  const auto fail = [&](std::string_view problem) {
    source.Fail(node.source(), fmt::format("seeds = {}: {}", config::GivenText(node), problem));
  };
  if (!node.is_array()) {
    int64_t count = 0;
    if (!config::Read(node, count).empty())
      fail("it must be how many (5: the seeds 1 to 5), or a list such as [1, 2, 3]");
    if (count < 1 || count > kMostSeeds) fail(fmt::format("it must be from 1 to {}", kMostSeeds));
    seeds = FirstSeeds(count);
    return;
  }
  Read(source, "seeds", node, seeds);
  if (seeds.empty()) fail("it must hold a seed");
  for (const int64_t seed : seeds) {
    if (seed < 0) fail("a seed is at least 0");
    if (std::ranges::count(seeds, seed) > 1) fail(fmt::format("{} is there twice", seed));
  }
}

struct NamedTable {
  std::string name;
  toml::source_region source;
};

// The variants in the order of the file; TOML's own is that of the alphabet.
std::vector<NamedTable> VariantNames(const Source& source, const toml::table& file) {
  const toml::node* node = file.get("variants");
  if (node == nullptr) {
    throw UserError(
        fmt::format("{} has no variants; each is a section such as [variants.grow], with the options in "
                    "which it differs from the base",
                    source.path().string()));
  }
  const toml::table* table = node->as_table();
  if (table == nullptr) source.Fail(node->source(), "variants are sections: write [variants.NAME]");
  std::vector<NamedTable> names;
  for (const auto& [key, value] : *table) {
    if (!value.is_table()) {
      source.Fail(key.source(),
                  fmt::format("variants.{} must be a section: write [variants.{}] and below it the options "
                              "in which it differs, such as schedule.policy = \"grow\"",
                              key.str(), key.str()));
    }
    if (!IsName(key.str())) {
      source.Fail(key.source(), fmt::format("'{}' cannot name a variant: letters, digits, - _ and . do", key.str()));
    }
    names.push_back({std::string(key.str()), key.source()});
  }
  std::ranges::stable_sort(names, [](const NamedTable& a, const NamedTable& b) {
    return std::pair(a.source.begin.line, a.source.begin.column) <
           std::pair(b.source.begin.line, b.source.begin.column);
  });
  if (names.size() < 2) source.Fail(node->source(), "a study compares two variants or more");
  return names;
}

// The seed is the study's: where a variant states one, its runs could not be told apart.
void RefuseSeed(const Source& source, const toml::table& options) {
  const toml::table* run = options["run"].as_table();
  if (run == nullptr) return;
  if (const toml::node* seed = run->get("seed")) {
    source.Fail(seed->source(), "run.seed: the seeds of a study are stated once, above its sections: seeds = 5");
  }
}

config::Options ResolveVariant(const Source& source, const fs::path& base, const std::string& name,
                               const std::vector<std::string>& overrides) {
  toml::table file = source.Parse();  // afresh, since layers are moved out of it
  std::vector<config::TableLayer> layers;
  if (toml::node* common = file.get("options")) {
    if (!common->is_table()) source.Fail(common->source(), "options is a section: write [options]");
    RefuseSeed(source, *common->as_table());
    layers.push_back({std::move(*common->as_table()), source.path()});
  }
  toml::table& own = *file["variants"][name].as_table();
  RefuseSeed(source, own);
  layers.push_back({std::move(own), source.path()});
  return config::LoadLayers(base, std::move(layers), overrides);
}

// The one table of keys: unknown ones are found by it.
using Readers = std::map<std::string, std::function<void(const toml::node&)>, std::less<>>;

void ReadKeys(const Source& source, const toml::table& file, const Readers& readers) {
  std::vector<std::string> names;
  for (const auto& [name, reader] : readers) names.push_back(name);
  std::vector<std::pair<toml::source_position, std::pair<std::string, const toml::node*>>> stated;
  for (const auto& [key, node] : file) stated.push_back({key.source().begin, {std::string(key.str()), &node}});
  std::ranges::sort(stated, [](const auto& a, const auto& b) {
    return std::pair(a.first.line, a.first.column) < std::pair(b.first.line, b.first.column);
  });
  for (const auto& [place, entry] : stated) {
    const auto& [key, node] = entry;
    const auto reader = readers.find(key);
    if (reader != readers.end()) {
      reader->second(*node);
      continue;
    }
    throw UserError(fmt::format("{}:{}:{}: {} is not a key of a study{}", source.path().string(), place.line,
                                place.column, key, DidYouMeanOrAll(key, names)));
  }
}

void RefuseConfig(const Source& source, const toml::table& file) {
  const auto is_stated = [&](const std::string& section) { return file.contains(section); };
  if (file.contains("variants") || std::ranges::none_of(config::AllSections(), is_stated)) return;
  throw UserError(
      fmt::format("{0} is a config, and a study is wanted, which has [variants]; `crescendo train {0}` trains it",
                  source.path().string()));
}

size_t IndexOf(const Source& source, const toml::node& node, const std::string& name,
               const std::vector<NamedTable>& variants) {
  std::vector<std::string> names;
  for (const NamedTable& variant : variants) names.push_back(variant.name);
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) {
    source.Fail(node.source(), fmt::format("reference = \"{}\": the variants are {}{}", name, fmt::join(names, ", "),
                                           DidYouMean(name, names)));
  }
  return static_cast<size_t>(found - names.begin());
}

}  // namespace

Study LoadStudy(const fs::path& path, const std::vector<std::string>& overrides, std::optional<int64_t> seeds) {
  const Source source(path);
  const toml::table file = source.Parse();
  Study study;
  study.name = path.stem().string();
  study.file = path;
  study.overrides = overrides;
  std::string base;
  std::string runs = (fs::path("runs") / study.name).string();
  std::string reference;
  const auto nothing = [](const toml::node&) {};
  RefuseConfig(source, file);
  ReadKeys(source, file,
           {{"question", [&](const toml::node& node) { Read(source, "question", node, study.question); }},
            {"base", [&](const toml::node& node) { Read(source, "base", node, base); }},
            {"seeds", [&](const toml::node& node) { ReadSeeds(source, node, study.seeds); }},
            {"reference", [&](const toml::node& node) { Read(source, "reference", node, reference); }},
            {"margin",
             [&](const toml::node& node) {
               Read(source, "margin", node, study.margin);
               if (study.margin <= 0 || study.margin > 100) {
                 source.Fail(node.source(), fmt::format("margin = {}: it must be above 0 and at most 100, in points of "
                                                        "test accuracy",
                                                        config::GivenText(node)));
               }
             }},
            {"equal", [&](const toml::node& node) { Read(source, "equal", node, study.equal); }},
            {"runs",
             [&](const toml::node& node) {
               Read(source, "runs", node, runs);
               if (runs.empty()) source.Fail(node.source(), "runs = \"\": it must be a folder");
             }},
            {"options", nothing},
            {"variants", nothing}});
  if (base.empty())
    throw UserError(
        fmt::format("{} has no base = \"CONFIG.toml\", the config its variants differ from", path.string()));
  if (study.seeds.empty()) study.seeds = FirstSeeds(5);
  if (seeds) {
    if (*seeds < 1 || *seeds > kMostSeeds)
      throw UserError(fmt::format("--seeds {}: it must be from 1 to {}", *seeds, kMostSeeds));
    study.seeds = FirstSeeds(*seeds);
    study.overrides.push_back(fmt::format("--seeds {}", *seeds));
  }
  study.runs = runs;
  for (const std::string& given : overrides) {
    if (given.starts_with("run.seed="))
      throw UserError(fmt::format("command line: {}: a study takes --seeds N", given));
  }

  const std::vector<NamedTable> names = VariantNames(source, file);
  if (!reference.empty()) study.reference = IndexOf(source, *file.get("reference"), reference, names);
  const fs::path base_path = (path.parent_path() / base).lexically_normal();
  if (!fs::exists(base_path)) {
    source.Fail(file.get("base")->source(),
                fmt::format("base = \"{}\": there is no file {} (it is looked for beside the study)", base,
                            base_path.string()));
  }
  for (const NamedTable& named : names) {
    study.variants.push_back({named.name, ResolveVariant(source, base_path, named.name, overrides)});
    study.variants.back().options.run.seed = study.seeds.front();
  }
  return study;
}

bool IsStudyFile(const fs::path& path) {
  return fs::is_regular_file(path) && path.extension() == ".toml" && Source(path).Parse().contains("variants");
}

}  // namespace crescendo::study
