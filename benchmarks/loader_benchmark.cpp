// The loader alone: images of CIFAR's shape, cropped, mirrored and normalised, as fast as they are taken.
#include <benchmark/benchmark.h>

#include "crescendo/data/loader.h"

namespace crescendo::data {
namespace {

void Loader(benchmark::State& state) {
  constexpr int64_t kBatch = 128;
  config::DataOptions options;
  options.name = config::DatasetName::kSynthetic;
  options.train_examples = 50'000;
  options.threads = state.range(0);
  static const DatasetPair data = LoadDatasets(options, /*seed=*/1);
  data::Loader loader(data.train, options, /*seed=*/1);
  schedule::Examples next{0};
  const auto request = [&] {
    loader.Request({next, kBatch});
    next += schedule::Examples{kBatch};
  };
  for (int64_t i = 0; i < options.prefetch; ++i) request();
  for (auto _ : state) {
    benchmark::DoNotOptimize(loader.Take());
    request();
  }
  state.SetItemsProcessed(state.iterations() * kBatch);
}
// The thread that takes does nothing else, so all is measured by the clock on the wall.
BENCHMARK(Loader)->Arg(1)->Arg(2)->ArgName("threads")->UseRealTime()->MeasureProcessCPUTime();

}  // namespace
}  // namespace crescendo::data
