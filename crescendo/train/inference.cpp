#include "crescendo/train/inference.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "crescendo/base/error.h"
#include "crescendo/config/difference.h"
#include "crescendo/data/csv.h"
#include "crescendo/distributed/local_group.h"
#include "crescendo/train/build.h"
#include "crescendo/train/run_folder.h"
#include "crescendo/train/weights.h"

namespace crescendo::train {
namespace {

// The network with its weights, and what it is to be used on.
struct Trained {
  at::Device device;
  config::Precision precision;
  std::unique_ptr<nn::Model> model;
  data::Dataset test;
  std::vector<std::string> classes;
};

// What was trained decides how rows become inputs. UserError where `options` would have it otherwise.
void RequireSameEncoding(const config::Options& trained, const config::Options& options) {
  for (const config::Difference& difference : config::DifferencesBetween(trained, options)) {
    for (const char* key : {"data.label_column", "data.categorical_columns", "data.ignored_columns", "data.missing"}) {
      if (difference.key != key) continue;
      throw UserError(
          fmt::format("{} = {}: the weights were trained with {}, and rows are made inputs as they were for "
                      "training; leave it out, and bring the table into the form of the trained one",
                      key, difference.after, difference.before));
    }
  }
}

constexpr const char* kNoHeader = "data.header=false";

bool Gives(const std::vector<std::string>& overrides, const std::string& key) {
  return std::ranges::any_of(overrides, [&](const std::string& change) { return change.starts_with(key + '='); });
}

// The options for testing on a table. The run's data.test_examples says nothing of a test file that is given now.
// `trained`: the run's own.
config::Options OptionsForTable(const std::filesystem::path& weights, const config::Options& trained,
                                std::vector<std::string> overrides) {
  const bool count_is_given = Gives(overrides, "data.test_examples");
  const bool file_is_given = Gives(overrides, "data.test_file");
  // That names need a header holds for training: here the encoding knows which columns they are.
  const bool has_no_header = std::erase(overrides, kNoHeader) > 0;
  config::Options options = ReadOptions(weights, overrides);
  RequireSameEncoding(trained, options);
  if (has_no_header) options.data.header = false;
  if (file_is_given && !count_is_given) options.data.test_examples = 0;
  return options;
}

// `train`: as in ChangedData.
void WarnOfOtherData(const std::filesystem::path& weights, const data::Dataset* train, const data::Dataset& test,
                     const Warn& warn) {
  const RunFolder folder(weights.parent_path());
  if (weights != folder.weights()) return;
  const std::string changed = ChangedData(folder, train, test);
  if (changed.empty()) return;
  warn(fmt::format("these are not the data that the run was trained on; what differs: {}", changed));
}

std::vector<std::string> ClassesOf(const data::TableEncoding& encoding) {
  return encoding.columns[data::LabelColumn(encoding)].names;
}

// Of weights that say how rows become inputs.
Trained LoadForTable(const std::filesystem::path& file, const data::TableEncoding& encoding,
                     const config::Options& options, data::Labels labels, const Warn& warn) {
  const at::Device device = PrepareProcess(options);
  data::TestRows test = data::LoadTestRows(options.data, encoding, labels);
  for (const std::string& warning : test.warnings) warn(warning);
  std::unique_ptr<nn::Model> model = BuildModelFor(test.rows, options, device);
  LoadWeights(file, *model);
  return {device, options.run.precision, std::move(model), std::move(test.rows), ClassesOf(encoding)};
}

Trained LoadWithTrainSet(const std::filesystem::path& file, const config::Options& options, const Warn& warn) {
  Parts parts = Build(options);
  LoadWeights(file, *parts.model);
  WarnOfOtherData(file, &parts.data.train, parts.data.test, warn);
  std::vector<std::string> classes;
  if (parts.data.table) classes = ClassesOf(*parts.data.table);
  for (int64_t i = std::ssize(classes); i < parts.data.test.classes; ++i) classes.push_back(fmt::format("{}", i));
  return {parts.device, options.run.precision, std::move(parts.model), std::move(parts.data.test), std::move(classes)};
}

Trained Load(const std::filesystem::path& path, const std::vector<std::string>& overrides, data::Labels labels,
             const Warn& warn) {
  const std::filesystem::path file = WeightsAt(path);
  const config::Options trained = ReadOptions(file, {});
  const bool is_of_table = trained.data.name == config::DatasetName::kCsv;
  if (const auto encoding = ReadTableEncoding(file); encoding && is_of_table) {
    const config::Options options = OptionsForTable(file, trained, overrides);
    if (options.data.name == config::DatasetName::kCsv) {
      Trained loaded = LoadForTable(file, *encoding, options, labels, warn);
      // Of other rows than the run's the user knows.
      if (!Gives(overrides, "data.test_file")) WarnOfOtherData(file, nullptr, loaded.test, warn);
      return loaded;
    }
  }
  const config::Options options = ReadOptions(file, overrides);
  if (is_of_table && options.data.name == config::DatasetName::kCsv) {
    warn(
        fmt::format("{} was written before weights held how their table was encoded, so that is measured on the train "
                    "file again: with another train file than the run's, the results are wrong",
                    file.string()));
  }
  return LoadWithTrainSet(file, options, warn);
}

}  // namespace

Evaluation EvaluateWeights(const std::filesystem::path& path, const std::vector<std::string>& overrides,
                           const Warn& warn) {
  const Trained trained = Load(path, overrides, data::Labels::kRequired, warn);
  distributed::LocalGroup alone;
  return Evaluate(*trained.model, trained.test, trained.device, trained.precision, alone);
}

Predictions PredictWeights(const std::filesystem::path& path, const std::vector<std::string>& overrides,
                           const Warn& warn) {
  Trained trained = Load(path, overrides, data::Labels::kOptional, warn);
  at::Tensor probabilities = Probabilities(*trained.model, trained.test, trained.device, trained.precision);
  if (!probabilities.isfinite().all().item<bool>()) {
    throw RunError(fmt::format("what {} predicts is not finite: these weights are of no use", path.string()));
  }
  return {std::move(trained.classes), std::move(probabilities), std::move(trained.test.labels)};
}

}  // namespace crescendo::train
