// For tests: the schedules of section 5 of the paper. CIFAR-10, noise / 5 at epochs 60, 120 and 160 of 204.8 (80,000
// updates at B = 128).
#pragma once

#include "crescendo/schedule/planner.h"

namespace crescendo::report {

inline schedule::PlanRequest PaperRequest(schedule::Policy policy, int64_t max_batch) {
  using schedule::Examples;
  const schedule::LearningRate rate(
      0.1, schedule::Step{{Examples{3'000'000}, Examples{6'000'000}, Examples{8'000'000}}, 0.2}, Examples{10'240'000});
  return {.train_examples = Examples{50'000},
          .reference = {rate, 0.9, Examples{128}},
          .policy = policy,
          .learning_rate = 0.1,
          .momentum = 0.9,
          .max_batch = Examples{max_batch}};
}

// A cosine that a batch with no hysteresis follows in hundreds of phases.
inline schedule::PlanRequest CosineRequest() {
  using schedule::Examples;
  schedule::PlanRequest request = PaperRequest(schedule::Policy::kGrow, 5'000);
  request.reference.learning_rate =
      schedule::LearningRate(0.1, schedule::Cosine{1e-5}, Examples{10'000'000}, {.length = Examples{250'000}});
  return request;
}

}  // namespace crescendo::report
