// crescendo predict: the class of each example of a test set, by trained weights.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "crescendo/base/csv_table.h"
#include "crescendo/cli/arguments.h"
#include "crescendo/cli/commands.h"
#include "crescendo/cli/output_file.h"
#include "crescendo/cli/warn.h"
#include "crescendo/study/runs.h"
#include "crescendo/train/inference.h"

namespace crescendo::cli {
namespace {

struct Arguments {
  std::string path;
  std::vector<std::string> overrides;
  std::string out;
  bool probabilities = false;
};

std::string Csv(const train::Predictions& predictions, bool all_probabilities) {
  const auto probability = predictions.probabilities.accessor<float, 2>();
  const auto label = predictions.labels.accessor<int64_t, 1>();
  const int64_t classes = std::ssize(predictions.classes);
  bool has_labels = false;
  for (int64_t i = 0; i < label.size(0); ++i) has_labels = has_labels || label[i] >= 0;

  std::string text = "example,class,probability";
  if (has_labels) text += ",label";
  if (all_probabilities) {
    for (const std::string& name : predictions.classes) text += ',' + CsvField("probability of " + name);
  }
  text += '\n';
  for (int64_t i = 0; i < label.size(0); ++i) {
    int64_t best = 0;
    for (int64_t k = 1; k < classes; ++k) {
      if (probability[i][k] > probability[i][best]) best = k;
    }
    text += fmt::format("{},{},{}", i, CsvField(predictions.classes[best]), probability[i][best]);
    if (has_labels) text += ',' + (label[i] < 0 ? "" : CsvField(predictions.classes[label[i]]));
    for (int64_t k = 0; k < classes && all_probabilities; ++k) text += fmt::format(",{}", probability[i][k]);
    text += '\n';
  }
  return text;
}

void Predict(const Arguments& arguments) {
  study::RequireRun(arguments.path);
  if (!arguments.out.empty()) RequireOutput("--out", arguments.out);
  const train::Predictions predictions = train::PredictWeights(arguments.path, arguments.overrides, Warn);
  WriteOutput(arguments.out, Csv(predictions, arguments.probabilities));
}

}  // namespace

void AddPredictCommand(CLI::App& app, int& /*exit_code*/) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("predict", "the class of each example, by the weights of a run, as CSV");
  command->add_option("RUN", arguments->path, "a run's folder, or a weights.safetensors")->required();
  command->add_option(kChanges, arguments->overrides, "KEY=VALUE: options that differ here, as data.test_file=new.csv");
  command->add_option("--out", arguments->out, "write it into this file");
  command->add_flag("--probabilities", arguments->probabilities, "also the probability of each class");
  command->footer(R"(Predicts the run's test set, or the table in data.test_file: rows with the columns of the trained
table, in their order; the label may be empty, or its column left out. A row of the output for each,
in the same order: its number from 0, the likeliest class, its probability, and the label where it
is known.

Examples:
  crescendo predict runs/adult data.test_file=new.csv --out classes.csv
  crescendo predict weights.safetensors data.folder=/data --probabilities)");
  command->callback([arguments] { Predict(*arguments); });
}

}  // namespace crescendo::cli
