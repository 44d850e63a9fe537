// A run small enough to repeat many times in a test.
#pragma once

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "crescendo/config/options.h"
#include "crescendo/train/build.h"
#include "crescendo/train/observer.h"

namespace crescendo::support {

// Remembers all it sees.
struct Memory : train::Observer {
  void OnUpdate(const report::UpdateRecord& record) override { updates.push_back(record); }
  void OnEvaluation(const report::EvaluationRecord& record) override { evaluations.push_back(record); }
  void OnWorkers(int64_t number, int64_t /*started*/) override { workers.push_back(number); }
  void OnFooter(const report::RunFooter& record) override { footers.push_back(record); }
  std::vector<report::UpdateRecord> updates;
  std::vector<report::EvaluationRecord> evaluations;
  std::vector<int64_t> workers;  // where not all computed from the start
  std::vector<report::RunFooter> footers;
};

struct RunResult {
  Memory memory;
  std::vector<at::Tensor> tensors;  // parameters, then running statistics
};

// A tiny wide ResNet on synthetic images whose batch grows 8, 16, 32 with ghosts of 4.
inline constexpr const char* kSmallConfig = R"(
[data]
name = "synthetic"
train_examples = 200
test_examples = 60
image_size = 8
classes = 4
pad = 1
[model]
name = "wide_resnet"
depth = 10
width = 1
ghost_batch = 4
[optimizer]
weight_decay = 5e-4
[reference]
global_batch = 8
learning_rate = 0.05
shape = "step"
boundaries = ["1ep", "2ep"]
factor = 0.5
[schedule]
length = "3.3ep"
policy = "grow"
max_batch = "none"
[run]
threads = 1
micro_batch = 8
)";

// kSmallConfig with these options changed, run.device = TestDeviceName() (tests/support/test_device.h), and without
// what is used on a GPU alone: run.gpu_graphs and run.gpu_norm_kernels false.
config::Options SmallOptions(const std::vector<std::string>& overrides);

// Trains SmallOptions, on one thread; the tensors come back to the CPU. On a GPU cuDNN is told to repeat its bits.
RunResult RunSmall(const std::vector<std::string>& overrides);

// The same with so many workers, each a thread, all of whom must come to compute. All must end with the same bits;
// returned are worker 0's.
RunResult RunOnWorkers(int64_t workers, const std::vector<std::string>& overrides);

// The fixture of tests with several workers, up to eight. On GPUs each needs one of its own, and where there are fewer
// its tests are skipped.
class SeveralWorkers : public ::testing::Test {
 protected:
  static void SetUpTestSuite();
  void SetUp() override;
};

// `work` with the parts of SmallOptions, on each worker.
void WithWorkers(int64_t workers, const std::vector<std::string>& overrides,
                 const std::function<void(train::Parts& parts)>& work);

// `work` with the place of each worker. Rethrows what the first has thrown.
void RunPlaces(int64_t workers, const std::function<void(const distributed::WorkerPlace& place)>& work);

// The largest difference between two runs' tensors, relative to the largest value of each tensor.
double LargestDifference(const RunResult& a, const RunResult& b);

}  // namespace crescendo::support
