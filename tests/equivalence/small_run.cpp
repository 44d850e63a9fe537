#include "tests/equivalence/small_run.h"

#include <ATen/Context.h>

#include <algorithm>
#include <atomic>

#include "crescendo/config/load.h"
#include "crescendo/train/trainer.h"
#include "tests/support/test_device.h"

namespace crescendo::support {

config::Options SmallOptions(const std::vector<std::string>& overrides) {
  std::vector<std::string> all = {"run.device=" + TestDeviceName()};
  all.insert(all.end(), overrides.begin(), overrides.end());
  return config::LoadText(kSmallConfig, "small.toml", all);
}

RunResult RunSmall(const std::vector<std::string>& overrides) {
  at::globalContext().setDeterministicCuDNN(true);
  train::Parts parts = train::Build(SmallOptions(overrides));
  RunResult result;
  const std::atomic<int> stop = 0;
  train::Trainer trainer(parts, schedule::Examples{*parts.options.run.micro_batch}, {&result.memory}, stop);
  trainer.Train();
  trainer.Close();
  for (const nn::NamedTensor& tensor : parts.model->parameters()) result.tensors.push_back(tensor.value.detach().cpu());
  for (const nn::NamedTensor& tensor : parts.model->buffers()) result.tensors.push_back(tensor.value.cpu());
  return result;
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
