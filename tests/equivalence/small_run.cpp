#include "tests/equivalence/small_run.h"

#include <algorithm>
#include <atomic>

#include "crescendo/config/load.h"
#include "crescendo/train/trainer.h"

namespace crescendo::support {

RunResult RunSmall(const std::vector<std::string>& overrides) {
  train::Parts parts = train::Build(config::LoadText(kSmallConfig, "small.toml", overrides));
  RunResult result;
  const std::atomic<int> stop = 0;
  train::Trainer trainer(parts, schedule::Examples{*parts.options.run.micro_batch}, {&result.memory}, stop);
  trainer.Train();
  trainer.Close();
  for (const nn::NamedTensor& tensor : parts.model->parameters()) result.tensors.push_back(tensor.value.detach());
  for (const nn::NamedTensor& tensor : parts.model->buffers()) result.tensors.push_back(tensor.value);
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
