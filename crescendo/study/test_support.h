// A study that is small enough to look through, and a stand-in for the program that trains.
#pragma once

#include <sys/stat.h>

#include <string>
#include <vector>

#include "crescendo/config/plan_request.h"
#include "crescendo/schedule/planner.h"
#include "crescendo/study/study.h"
#include "tests/support/temporary_folder.h"

namespace crescendo::study {

inline constexpr const char* kBase = R"(
[data]
name = "synthetic"
[reference]
global_batch = 10
boundaries = ["2ep"]
factor = 0.5
[schedule]
length = "4ep"
)";

inline constexpr int64_t kTrainExamples = 1000;

inline schedule::Plan PlanOfSmall(const config::Options& options) {
  return schedule::MakePlan(config::MakePlanRequest(options, kTrainExamples));
}

// decay and grow over kBase; `head` is what else stands above the sections.
inline Study SmallStudy(const support::TemporaryFolder& folder, const std::string& head,
                        const std::string& variants =
                            "[variants.decay]\nschedule.policy = \"decay\"\n"
                            "[variants.grow]\nschedule.max_batch = \"none\"\n") {
  folder.Write("base.toml", kBase);
  return LoadStudy(folder.Write(
      "small.toml", "base = \"base.toml\"\nruns = \"" + (folder / "runs").string() + "\"\n" + head + "\n" + variants));
}

// A program that is called as `crescendo train` or `crescendo resume` is, writes the log of a finished run whose
// accuracy is 0.90 + seed / 100, and before that does what `before` says, with $seed, $out, $config and its arguments.
inline std::string FakeProgram(const support::TemporaryFolder& folder, const std::string& before) {
  std::string path = folder.Write("fake", R"(#!/usr/bin/env bash
if [[ $1 = resume ]]; then config=$2/trial.toml out=$2; else config=$2 out=$4; fi
seed=$(sed -n 's/^seed = //p' "$config")
echo "$@" >> "${0%/*}/calls.txt"
header='{"type":"header","format_version":1,"started":"","crescendo_version":"","commit":"","torch_version":"","compiler":"","machine":"m","device":"cpu","threads":1,"micro_batch":1,"parameters":1,"train_examples":1000,"test_examples":100,"total_examples":4000,"total_updates":400,"config_toml":""}'
footer() {  # footer END REASON
  local evaluation="{\"updates\":400,\"examples\":4000,\"epoch\":4,\"test_loss\":0.5,\"test_accuracy\":0.9$seed,\"train_seconds\":1}"
  printf '%s\n{"type":"footer","end":"%s","reason":"%s","updates":400,"examples":4000,"train_seconds":1,"total_seconds":2,"final_evaluation":%s}\n' \
    "$header" "$1" "$2" "$evaluation" > "$out/run.jsonl"
}
)" + before + "\nfooter finished ''\n");
  ::chmod(path.c_str(), 0755);
  return path;
}

}  // namespace crescendo::study
