// The run depends on the schedule alone, not on how it was laid out.
#include <ATen/Parallel.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "crescendo/device/memory.h"
#include "crescendo/train/micro_batch.h"
#include "tests/equivalence/small_run.h"
#include "tests/support/test_device.h"

namespace crescendo {
namespace {

using support::LargestDifference;
using support::Rounding;
using support::RunResult;
using support::RunSmall;
using support::TestDevice;

std::map<std::string, at::Tensor> Copies(const nn::Model& model) {
  std::map<std::string, at::Tensor> copies;
  for (const nn::NamedTensor& tensor : model.parameters()) copies[tensor.name] = tensor.value.detach().clone();
  for (const nn::NamedTensor& tensor : model.buffers()) copies[tensor.name] = tensor.value.clone();
  return copies;
}

class Layout : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { at::set_num_threads(1); }
};

TEST_F(Layout, SameOptionsGiveTheSameBits) {
  const RunResult first = RunSmall({});
  const RunResult second = RunSmall({});
  EXPECT_EQ(LargestDifference(first, second), 0);
  EXPECT_GT(LargestDifference(first, RunSmall({"run.seed=2"})), 1e-3);
}

// Summation order differs, nothing else: fp32 rounding, which a batch norm over ghosts of 4 amplifies at each of 41
// updates, so the rate is low here. A loss averaged per micro-batch would differ by factors.
TEST_F(Layout, MicroBatchesChangeOnlyTheOrderOfSums) {
  const auto with = [](const char* micro_batch) { return RunSmall({"reference.learning_rate=0.005", micro_batch}); };
  const RunResult whole = with("run.micro_batch=1000");
  ASSERT_EQ(whole.memory.updates.size(), 46);
  for (const char* parts : {"run.micro_batch=4", "run.micro_batch=8", "run.micro_batch=12"}) {
    const RunResult split = with(parts);
    EXPECT_LT(LargestDifference(whole, split), Rounding(1e-4)) << parts;
    for (size_t i = 0; i < whole.memory.updates.size(); ++i) {
      EXPECT_NEAR(whole.memory.updates[i].loss, split.memory.updates[i].loss, Rounding(1e-5))
          << parts << ", update " << i;
    }
  }
}

// The first update starts from the same weights, so here the bound is rounding alone.
TEST_F(Layout, OneUpdateInPartsIsTheUpdateInOne) {
  const std::vector<std::string> one_update = {"schedule.length=32sp", "reference.global_batch=32",
                                               "reference.boundaries=[\"31sp\"]", "schedule.policy=decay"};
  const auto with = [&](const char* micro_batch) {
    std::vector<std::string> overrides = one_update;
    overrides.emplace_back(micro_batch);
    return RunSmall(overrides);
  };
  const RunResult whole = with("run.micro_batch=32");
  ASSERT_EQ(whole.memory.updates.size(), 1);
  for (const char* parts : {"run.micro_batch=4", "run.micro_batch=12", "run.micro_batch=28"}) {
    EXPECT_LT(LargestDifference(whole, with(parts)), Rounding(2e-6)) << parts;
  }
}

TEST_F(Layout, LoaderThreadsAndPrefetchChangeNothing) {
  const RunResult plain = RunSmall({});
  EXPECT_EQ(LargestDifference(plain, RunSmall({"data.threads=3", "data.prefetch=7"})), 0);
  EXPECT_EQ(LargestDifference(plain, RunSmall({"data.prefetch=1"})), 0);
}

// The kernels on a GPU; on a CPU the loops that do the same. In bf16 rounding is coarse, and what is asked is that they
// stay as near to fp32 as the operations they replace.
TEST_F(Layout, GpuNormKernelsChangeOnlyTheOrderOfSums) {
  const auto train = [](const char* precision, const char* kernels) {
    return RunSmall({"schedule.length=8sp", "reference.boundaries=[\"7sp\"]", precision, kernels});
  };
  const RunResult fp32 = train("run.precision=fp32", "run.gpu_norm_kernels=false");
  const RunResult fp32_kernels = train("run.precision=fp32", "run.gpu_norm_kernels=true");
  EXPECT_LT(LargestDifference(fp32, fp32_kernels), Rounding(1e-5));
  EXPECT_GT(LargestDifference(fp32, fp32_kernels), 0) << "the kernels were not used";
  const RunResult bf16 = train("run.precision=bf16", "run.gpu_norm_kernels=false");
  const RunResult bf16_kernels = train("run.precision=bf16", "run.gpu_norm_kernels=true");
  EXPECT_LT(LargestDifference(fp32, bf16_kernels), 2 * LargestDifference(fp32, bf16));
}

TEST_F(Layout, AutoIsKernelsAndGraphsOnAGpu) {
  const auto run = [](const char* kernels, const char* graphs) {
    return RunSmall({"schedule.length=64sp", "reference.boundaries=[\"32sp\"]", kernels, graphs});
  };
  const bool on = !TestDevice().is_cpu();
  const RunResult stated = run(on ? "run.gpu_norm_kernels=true" : "run.gpu_norm_kernels=false",
                               on ? "run.gpu_graphs=true" : "run.gpu_graphs=false");
  EXPECT_EQ(LargestDifference(stated, run("run.gpu_norm_kernels=auto", "run.gpu_graphs=auto")), 0);

  const auto uses_graphs = [](std::vector<std::string> overrides) {
    overrides.emplace_back("run.gpu_graphs=auto");
    return train::UsesGraphs(train::Build(support::SmallOptions(overrides)));
  };
  EXPECT_EQ(uses_graphs({}), on);
  EXPECT_FALSE(uses_graphs({"run.reproducible=true"}));
}

// One update; over a run batch norm amplifies the rounding.
TEST_F(Layout, AGpuLearnsWhatTheCpuLearns) {
  if (TestDevice().is_cpu()) GTEST_SKIP() << "needs a GPU: CRESCENDO_TEST_DEVICE=cuda";
  const std::vector<std::string> one_update = {"schedule.length=8sp", "reference.boundaries=[\"7sp\"]"};
  std::vector<std::string> on_cpu = one_update;
  on_cpu.emplace_back("run.device=cpu");
  EXPECT_LT(LargestDifference(RunSmall(on_cpu), RunSmall(one_update)), Rounding(1e-5));
}

// Speed decides on a CPU, so the outcome is not known; that it is a legal one and stays in its memory is.
TEST_F(Layout, AutoMicroBatchStaysInItsMemoryAndLeavesTheModel) {
  train::Parts parts = train::Build(support::SmallOptions({"run.micro_batch=auto"}));
  const std::map<std::string, at::Tensor> before = Copies(*parts.model);
  const std::atomic<int> stop = 0;
  const device::PeakMemory one_ghost(parts.device);
  EXPECT_EQ(train::ChooseMicroBatch(parts, stop, /*memory=*/0).size, schedule::Examples{4});
  const int64_t least = one_ghost.Rise();
  ASSERT_GT(least, 0);
  for (const int64_t times : {2, 3, 5, 1000}) {
    const device::PeakMemory peak(parts.device);
    const int64_t chosen = train::ChooseMicroBatch(parts, stop, times * least).size.value();
    EXPECT_LE(peak.Rise(), times * least);
    EXPECT_TRUE(chosen == 4 || chosen == 8 || chosen == 16 || chosen == 32) << chosen;
  }
  for (const auto& [name, value] : Copies(*parts.model)) EXPECT_TRUE(at::equal(before.at(name), value)) << name;
}

TEST_F(Layout, CachingMemoryChangesNothing) {
  EXPECT_EQ(LargestDifference(RunSmall({}), RunSmall({"run.cache_memory=false"})), 0);
}

}  // namespace
}  // namespace crescendo
