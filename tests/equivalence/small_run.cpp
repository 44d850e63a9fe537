#include "tests/equivalence/small_run.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>

#include "crescendo/config/load.h"
#include "crescendo/device/device.h"
#include "crescendo/distributed/test_support.h"
#include "crescendo/train/growth.h"
#include "crescendo/train/trainer.h"
#include "tests/support/test_device.h"

namespace crescendo::support {

config::Options SmallOptions(const std::vector<std::string>& overrides) {
  // On a GPU too: tests that want graphs or kernels say so.
  std::vector<std::string> all = {"run.device=" + TestDeviceName(), "run.gpu_graphs=false",
                                  "run.gpu_norm_kernels=false"};
  all.insert(all.end(), overrides.begin(), overrides.end());
  return config::LoadText(kSmallConfig, "small.toml", all);
}

namespace {

// cuBLAS reads it once, at its first product: of whichever test comes first (device/device.h, RepeatBits).
[[maybe_unused]] const int kWorkspace = ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);

RunResult Train(train::Parts& parts) {
  at::globalContext().setDeterministicCuDNN(true);
  RunResult result;
  const std::atomic<int> stop = 0;
  std::vector<train::Observer*> observers;
  if (parts.group->rank() == 0) observers.push_back(&result.memory);
  const auto start = train::JoinWork(parts, {}, stop).value();
  train::Trainer trainer(parts, schedule::Examples{*parts.options.run.micro_batch}, observers, stop, start);
  trainer.Train();
  trainer.Close();
  for (const nn::NamedTensor& tensor : parts.model->parameters()) result.tensors.push_back(tensor.value.detach().cpu());
  for (const nn::NamedTensor& tensor : parts.model->buffers()) result.tensors.push_back(tensor.value.cpu());
  return result;
}

}  // namespace

RunResult RunSmall(const std::vector<std::string>& overrides) {
  train::Parts parts = train::Build(SmallOptions(overrides));
  return Train(parts);
}

RunResult RunOnWorkers(int64_t workers, const std::vector<std::string>& overrides) {
  std::mutex mutex;
  std::vector<RunResult> results(static_cast<size_t>(workers));
  WithWorkers(workers, overrides, [&](train::Parts& parts) {
    RunResult result = Train(parts);
    const std::lock_guard lock(mutex);
    results[static_cast<size_t>(parts.group->rank())] = std::move(result);
  });
  for (const RunResult& result : results) EXPECT_EQ(LargestDifference(results.front(), result), 0);
  return results.front();
}

void SeveralWorkers::SetUpTestSuite() { at::set_num_threads(1); }

void SeveralWorkers::SetUp() {
  constexpr int64_t kMost = 8;
  if (TestDevice().is_cuda() && device::GpuCount() < kMost) {
    GTEST_SKIP() << "several workers need a GPU each, up to " << kMost << ", and here are " << device::GpuCount();
  }
}

void WithWorkers(int64_t workers, const std::vector<std::string>& overrides,
                 const std::function<void(train::Parts& parts)>& work) {
  const config::Options options = SmallOptions(overrides);
  RunPlaces(workers, [&](const distributed::WorkerPlace& place) {
    train::Parts parts = train::Build(options, place);
    work(parts);
  });
}

void RunPlaces(int64_t workers, const std::function<void(const distributed::WorkerPlace& place)>& work) {
  distributed::RunPlaces(workers, work);
}

double LargestDifference(const RunResult& a, const RunResult& b) {
  double largest = 0;
  for (size_t i = 0; i < a.tensors.size(); ++i) {
    const double difference = a.tensors[i].sub(b.tensors[i]).abs().max().item<double>();
    largest = std::max(largest, difference / a.tensors[i].abs().max().item<double>());
  }
  return largest;
}

}  // namespace crescendo::support
