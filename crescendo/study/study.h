// A study: one question, asked of several variants of a config over several seeds. docs/formats/study.md is the page of
// the file; docs/laboratory.md says how to ask.
//
//   base = "../letter/reference.toml"
//   seeds = 5
//   [variants.decay]
//   schedule.policy = "decay"
//   [variants.grow]
//   schedule.policy = "grow"
//
//   Study study = LoadStudy("growing.toml", {"data.folder=/data"});
//
// The file is read as strictly as a config: whatever is wrong in it is a UserError with its place.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "crescendo/base/enum_names.h"
#include "crescendo/config/options.h"

namespace crescendo::study {

// What is the same for all variants, so that they compare.
enum class Equal { kEpochs, kUpdates, kWallClock, kImagesTimesDevices, kNothing };

struct Variant {
  std::string name;         // letters, digits, "-", "_" and ".": also part of a folder's name
  config::Options options;  // resolved, at the first seed
};

struct Study {
  std::string name;  // the file's, without .toml
  std::filesystem::path file;
  std::vector<std::string> overrides;  // of the command line, as they are written there: "run.threads=1", "--seeds 15"
  std::string question;                // a sentence, or ""
  std::filesystem::path runs;          // the folder that holds all runs
  Equal equal = Equal::kEpochs;
  double margin = 0.3;            // a smaller difference does not matter; in points of test accuracy
  size_t reference = 0;           // which variant the others are compared with
  std::vector<int64_t> seeds;     // each at most once
  std::vector<Variant> variants;  // at least two, in the order of the file
};

// `overrides` ("section.key=value") hold for every variant and win over the file. `seeds`, where given, replaces the
// file's: the seeds 1 to `seeds`.
Study LoadStudy(const std::filesystem::path& path, const std::vector<std::string>& overrides = {},
                std::optional<int64_t> seeds = std::nullopt);

// Whether this file is a study and not a config or something else: for commands that take both.
bool IsStudyFile(const std::filesystem::path& path);

}  // namespace crescendo::study

namespace crescendo {

template <>
inline constexpr auto kEnumCases<study::Equal> = std::to_array<EnumCase<study::Equal>>({
    {study::Equal::kEpochs, "epochs", "every variant sees the same number of examples (the paper's terms)"},
    {study::Equal::kUpdates, "updates",
     "every variant takes as many updates as the reference: its schedule is stretched or pressed until it does"},
    {study::Equal::kWallClock, "wall_clock",
     "every variant trains about as long as the reference: a pilot of each tells how far its schedule is stretched"},
    {study::Equal::kImagesTimesDevices, "images_times_devices",
     "every variant costs the same; as every run of a study uses one device, this is the same as epochs"},
    {study::Equal::kNothing, "nothing", "lengths are as the variants say"},
});

}  // namespace crescendo
