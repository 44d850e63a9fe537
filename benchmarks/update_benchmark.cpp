// Updates so small that what surrounds the kernels shows: the letter-recognition network, batch 16 and 32.
//   Train         all that a run does for each update: plan, loader, step, loss checked, run.jsonl, TensorBoard
//   KernelsAlone  the same network, loss and optimizer in a bare loop over one batch
//   HandWritten   the same mathematics as a loop over GEMMs (hand_written_mlp.h)
// Train - KernelsAlone is the engine's overhead. Run with --benchmark_enable_random_interleaving=true.
#include <ATen/ops/full.h>
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "benchmarks/hand_written_mlp.h"
#include "crescendo/config/load.h"
#include "crescendo/data/loader.h"
#include "crescendo/nn/backward.h"
#include "crescendo/nn/loss.h"
#include "crescendo/train/build.h"
#include "crescendo/train/session.h"
#include "tests/support/temporary_folder.h"

namespace crescendo::benchmarks {
namespace {

constexpr int64_t kUpdates = 1000;  // an iteration: so many that starting a run does not count

constexpr double kLearningRate = 0.05;
constexpr double kMomentum = 0.9;
constexpr double kWeightDecay = 1e-4;

// `hidden`: "[128,128]", as the recipe has it; "[]": a network in which there is next to nothing to compute.
config::Options LetterOptions(int64_t batch, const std::string& hidden) {
  return config::LoadFile(
      "recipes/letter/decay.toml",
      {fmt::format("model.hidden={}", hidden), "reference.shape=constant",
       fmt::format("reference.learning_rate={}", kLearningRate), fmt::format("reference.momentum={}", kMomentum),
       fmt::format("optimizer.weight_decay={}", kWeightDecay), fmt::format("reference.global_batch={}", batch),
       fmt::format("schedule.length={}sp", batch * kUpdates), "run.evaluate_every=1000ep", "run.device=cpu",
       "run.threads=1", "run.micro_batch=32"});
}

const char* HiddenOf(const benchmark::State& state) { return state.range(1) == 0 ? "[]" : "[128,128]"; }

// The clock stands still until the first update is done: reading the table and setting up are not what is measured.
class FirstUpdateStartsTheClock : public train::Observer {
 public:
  explicit FirstUpdateStartsTheClock(benchmark::State& state) : state_(state) {}
  void OnUpdate(const report::UpdateRecord& record) override {
    if (record.setting.update == schedule::Updates{0}) state_.ResumeTiming();
    if (record.setting.update == schedule::Updates{kUpdates - 1}) state_.PauseTiming();
  }

 private:
  benchmark::State& state_;
};

void Train(benchmark::State& state) {
  const config::Options options = LetterOptions(state.range(0), HiddenOf(state));
  const std::atomic<int> stop = 0;
  for (auto _ : state) {
    state.PauseTiming();
    {
      const support::TemporaryFolder temporary;
      FirstUpdateStartsTheClock clock(state);
      train::TrainInto(train::RunFolder::Create(temporary / "run", /*force=*/false), options, {&clock}, stop);
    }
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * (kUpdates - 1));
}

void KernelsAlone(benchmark::State& state) {
  const config::Options options = LetterOptions(state.range(0), HiddenOf(state));
  const train::Parts parts = train::Build(options);
  const data::Batch batch = data::TestBatch(parts.data.train, 0, state.range(0));
  const schedule::GhostSizes ghosts = {state.range(0)};
  for (auto _ : state) {
    for (int64_t update = 0; update < kUpdates; ++update) {
      at::Tensor loss = nn::SummedCrossEntropy(parts.model->Forward(batch.inputs, ghosts), batch.labels);
      nn::Backward(loss, at::full({}, 1 / static_cast<double>(state.range(0))));
      parts.optimizer->Step({kLearningRate, kMomentum});
      parts.optimizer->ZeroGradients();
    }
  }
  state.SetItemsProcessed(state.iterations() * kUpdates);
}

void HandWritten(benchmark::State& state) {
  const config::Options options = LetterOptions(state.range(0), "[128,128]");
  const train::Parts parts = train::Build(options);  // for its letters
  const data::Batch batch = data::TestBatch(parts.data.train, 0, state.range(0));
  HandWrittenMlp mlp(state.range(0), {16, 128, 128, 26});
  double loss = 0;
  for (auto _ : state) {
    for (int64_t update = 0; update < kUpdates; ++update) {
      loss = mlp.Step(batch.inputs, batch.labels, kLearningRate, kMomentum, kWeightDecay);
    }
  }
  if (!(loss < 0.5)) state.SkipWithError("the hand-written network does not learn its batch");
  state.SetItemsProcessed(state.iterations() * kUpdates);
}

void Sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"batch", "hidden"})->UseRealTime()->Unit(benchmark::kMillisecond);
}
BENCHMARK(Train)->Apply(Sizes)->Args({16, 0})->Args({16, 128})->Args({32, 128});
BENCHMARK(KernelsAlone)->Apply(Sizes)->Args({16, 0})->Args({16, 128})->Args({32, 128});
BENCHMARK(HandWritten)->Apply(Sizes)->Args({16, 128})->Args({32, 128});

}  // namespace
}  // namespace crescendo::benchmarks
