// For tests: a study as its logs would give it. Four schedules over five seeds, with accuracies that are numbers and
// not trained: three equal up to noise, and a large batch that is really worse and of which one run diverged.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <vector>

#include "crescendo/config/load.h"
#include "crescendo/report/study_results.h"

namespace crescendo::report {

inline StudyRun FinishedRun(int64_t seed, double accuracy, const std::vector<double>& batches, double learning_rate) {
  constexpr double kTrainExamples = 50'000;
  constexpr int kEpochs = 40;
  StudyRun run{seed, "runs/fixture", RunState::kFinished, "", RunCurve{}};
  RunHeader& header = run.log->summary.header;
  header.train_examples = static_cast<int64_t>(kTrainExamples);
  header.test_examples = 10'000;
  header.parameters = 1000;
  header.total_examples = kEpochs * header.train_examples;
  header.commit = "0123456789ab";
  header.started = fmt::format("2018-02-24T09:3{}:00Z", seed);
  header.machine = "a machine";
  header.device = "cpu";
  SettingPoint at;
  at.momentum = 0.9;
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    const auto phase = static_cast<size_t>(epoch * static_cast<int>(batches.size()) / kEpochs);
    at.learning_rate = phase == 0 ? learning_rate : std::nextafter(learning_rate, 1);  // as rounding leaves it
    at.global_batch = batches[phase];
    at.noise_scale = learning_rate * kTrainExamples / at.global_batch / 0.1;
    at.noise_scale_exact = at.noise_scale * (1 - at.global_batch / kTrainExamples);
    at.reference_noise_scale = at.noise_scale;
    const auto batch = static_cast<int64_t>(at.global_batch);
    if (run.log->settings.empty() || run.log->settings.back().global_batch != at.global_batch) {
      run.log->settings.push_back(at);
    }
    const double updates = kTrainExamples / at.global_batch;
    const double seconds = 0.01 * updates + 1e-4 * kTrainExamples;
    BatchCost& cost = run.log->costs[batch];
    cost.updates += updates;
    cost.examples += kTrainExamples;
    cost.seconds += seconds;
    at.examples += kTrainExamples;
    at.updates += updates;
    at.seconds += seconds;
    const double missing = std::exp(-0.15 * epoch) * (1 + 0.1 * static_cast<double>(seed));
    run.log->losses.push_back({at.examples, at.updates, at.seconds, 0.05 + missing});
    EvaluationRecord evaluation;
    evaluation.examples = schedule::Examples{static_cast<int64_t>(at.examples)};
    evaluation.updates = schedule::Updates{static_cast<int64_t>(at.updates)};
    evaluation.accuracy = epoch + 1 == kEpochs ? accuracy / 100 : (accuracy - 40 * missing) / 100;
    evaluation.loss = 0.2;
    evaluation.train_seconds = at.seconds;
    run.log->summary.evaluations.push_back(evaluation);
  }
  RunFooter footer;
  footer.updates = schedule::Updates{static_cast<int64_t>(at.updates)};
  footer.examples = schedule::Examples{static_cast<int64_t>(at.examples)};
  footer.final_evaluation = run.log->summary.evaluations.back();
  footer.train_seconds = at.seconds;
  footer.total_seconds = at.seconds + 1;
  run.log->summary.footer = footer;
  return run;
}

// After five epochs the loss grows by five decades in each, to 1e35, and then is no number.
inline StudyRun DivergedRun(int64_t seed, const std::vector<double>& batches, double learning_rate) {
  StudyRun run = FinishedRun(seed, 10, batches, learning_rate);
  run.state = RunState::kFailed;
  run.reason = "the loss is nan at update 120";
  run.log->summary.footer.reset();
  run.log->losses.resize(12);
  run.log->summary.evaluations.resize(12);
  for (size_t epoch = 5; epoch < 12; ++epoch) {
    run.log->losses[epoch].loss = std::pow(10, 5 * (epoch - 4));
    run.log->summary.evaluations[epoch].accuracy = 0.1;
  }
  return run;
}

inline StudyResults FixtureStudy() {
  const auto options = [](const char* schedule) {
    return config::LoadText(
        std::string("[reference]\nboundaries = [\"10ep\", \"20ep\", \"30ep\"]\n[schedule]\nlength = \"40ep\"\n") +
            schedule,
        "fixture.toml");
  };
  StudyResults results;
  results.name = "fixture";
  results.file = "recipes/studies/fixture.toml";
  results.overrides = {"run.precision=bf16"};
  results.question = "Are <b>three</b> schedules the same & the fourth worse?";
  results.equal = "epochs";
  results.variants = {{"decay", options("policy = \"decay\""), {}, 0},
                      {"hybrid", options("max_batch = 640"), {}, 0},
                      {"grow", options("max_batch = \"none\""), {}, 0},
                      {"large batch", options("policy = \"decay\"\nlearning_rate = 4"), {}, 0}};
  const std::vector<std::vector<double>> accuracies = {{94.32, 94.11, 94.45, 94.27, 94.03},
                                                       {94.29, 94.20, 94.37, 94.33, 94.10},
                                                       {94.30, 94.14, 94.41, 94.29, 94.02},
                                                       {93.12, 92.71, 93.55, 93.30}};
  const std::vector<std::vector<double>> batches = {{128}, {128, 640}, {128, 640, 3200, 16'000}, {5120}};
  for (size_t variant = 0; variant < accuracies.size(); ++variant) {
    for (size_t i = 0; i < accuracies[variant].size(); ++i) {
      results.variants[variant].runs.push_back(
          FinishedRun(static_cast<int64_t>(i) + 1, accuracies[variant][i], batches[variant], variant == 3 ? 4 : 0.1));
    }
  }
  results.variants[3].runs.push_back(DivergedRun(5, batches[3], 4));
  return results;
}

}  // namespace crescendo::report
