// crescendo eval: loss and accuracy of trained weights on the test set.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <iostream>
#include <memory>

#include "crescendo/cli/arguments.h"
#include "crescendo/cli/commands.h"
#include "crescendo/cli/warn.h"
#include "crescendo/study/runs.h"
#include "crescendo/train/inference.h"

namespace crescendo::cli {
namespace {

struct Arguments {
  std::string path;
  std::vector<std::string> overrides;
};

}  // namespace

void AddEvalCommand(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("eval", "loss and accuracy of a run on its test set");
  command->add_option("RUN", arguments->path, "a run's folder, or a weights.safetensors")->required();
  command->add_option(kChanges, arguments->overrides, "KEY=VALUE: options that differ here, as data.folder=/data");
  command->footer(R"(Examples:
  crescendo eval runs/grow
  crescendo eval runs/adult data.test_file=new.csv
  crescendo eval weights.safetensors data.folder=/data)");
  command->callback([arguments, &exit_code] {
    study::RequireRun(arguments->path);
    const train::Evaluation result = train::EvaluateWeights(arguments->path, arguments->overrides, Warn);
    std::cout << fmt::format("test examples {}, loss {:.6f}, accuracy {:.2f} %\n", result.examples,
                             std::abs(result.loss),  // of "-nan" the sign says nothing
                             100 * result.accuracy);
    if (!std::isfinite(result.loss)) {
      std::cerr << "crescendo: the loss is not finite: these weights are of no use\n";
      exit_code = 1;
    }
  });
}

}  // namespace crescendo::cli
