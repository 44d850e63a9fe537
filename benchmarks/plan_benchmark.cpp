// Plans of 1e12 examples in 1,000 phases: making one, looking into it, walking along it.
#include <benchmark/benchmark.h>

#include "crescendo/schedule/planner.h"

namespace crescendo::schedule {
namespace {

PlanRequest TrillionExamples() {
  std::vector<Examples> boundaries;
  for (int64_t i = 1; i < 1000; ++i) boundaries.emplace_back(i * 1'000'000'000);
  return {.train_examples = Examples{1'000'000'000},
          .reference = {LearningRate(0.1, Step{boundaries, 0.999}, Examples{1'000'000'000'000}), 0.9, Examples{256}},
          .policy = Policy::kGrow,
          .learning_rate = 0.1,
          .momentum = 0.9,
          .max_batch = Examples{100'000'000}};
}

void MakePlan(benchmark::State& state) {
  const PlanRequest request = TrillionExamples();
  for (auto _ : state) benchmark::DoNotOptimize(schedule::MakePlan(request));
}
BENCHMARK(MakePlan)->Unit(benchmark::kMillisecond);

// Far jumps: neighbours would find their phase in the cache.
void PlanAt(benchmark::State& state) {
  const Plan plan = schedule::MakePlan(TrillionExamples());
  const int64_t total = plan.total_updates().value();
  int64_t update = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(plan.At(Updates{update}));
    update = (update + total / 3 + 7919) % total;
  }
}
BENCHMARK(PlanAt);

void PlanAdvance(benchmark::State& state) {
  const Plan plan = schedule::MakePlan(TrillionExamples());
  Plan::Cursor cursor(plan);
  for (auto _ : state) {
    benchmark::DoNotOptimize(cursor.setting());
    cursor.Advance();
  }
}
BENCHMARK(PlanAdvance);

}  // namespace
}  // namespace crescendo::schedule
