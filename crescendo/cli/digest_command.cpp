// crescendo digest: what identifies a run, to compare it with another's.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <string>

#include "crescendo/cli/commands.h"
#include "crescendo/cli/warn.h"
#include "crescendo/report/record.h"
#include "crescendo/study/runs.h"
#include "crescendo/train/digest.h"

namespace crescendo::cli {

void AddDigestCommand(CLI::App& app, int& /*exit_code*/) {
  auto path = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("digest", "hashes of a run's settings, order of examples and weights");
  command->add_option("RUN", *path, "a run's folder, or a weights.safetensors")->required();
  command->footer(R"(Two finished runs with equal settings and order did the same (of a branch: since it branched off).
Equal weights are promised on one machine with one build, the same threads and the same micro-batch.
Settings leave out what changes nothing that is learned: what is logged, threads and micro-batch, and where
the data are; so the data must be there.
Examples:
  crescendo digest runs/grow)");
  command->callback([path] {
    study::RequireRun(*path);
    const train::RunDigest digest = train::DigestRun(*path);
    if (!digest.changed.empty()) Warn(digest.changed);
    std::cout << fmt::format("settings  {}\norder     {}\nweights   {}\nrun       {}\n", digest.settings, digest.order,
                             digest.weights, digest.all);
    if (digest.end != NameOf(report::RunEnd::kFinished)) {
      std::cout << fmt::format("end       {}: settings and order are those of the whole plan, the weights are not\n",
                               digest.end.empty() ? "unknown" : digest.end);
    }
  });
}

}  // namespace crescendo::cli
