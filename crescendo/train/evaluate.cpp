#include "crescendo/train/evaluate.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "crescendo/data/loader.h"
#include "crescendo/device/autocast.h"
#include "crescendo/nn/loss.h"

namespace crescendo::train {

namespace {

constexpr int64_t kChunk = 500;

int64_t ChunksOf(const data::Dataset& examples) { return (examples.size() + kChunk - 1) / kChunk; }

struct Chunk {
  at::Tensor logits;  // [n, classes]
  at::Tensor labels;  // int64 [n]; both where the device is
};

Chunk ComputeChunk(nn::Model& model, const data::Dataset& examples, int64_t chunk, at::Device device,
                   config::Precision precision) {
  const int64_t begin = chunk * kChunk;
  const data::Batch batch = data::TestBatch(examples, begin, std::min(kChunk, examples.size() - begin));
  const device::Autocast autocast(device, precision);
  return {model.Evaluate(batch.inputs.to(device)), batch.labels.to(device)};
}

}  // namespace

Evaluation Evaluate(nn::Model& model, const data::Dataset& test, at::Device device, config::Precision precision,
                    distributed::Group& group) {
  const at::NoGradGuard no_gradients;
  const int64_t chunks = ChunksOf(test);
  // Each worker fills its rows and the others are zero, so that adding them is exact; then the rows are added in order.
  const at::Tensor losses_and_right = at::zeros({chunks, 2}, at::TensorOptions(at::kDouble).device(device));
  const device::KeptCasts kept_casts;
  for (int64_t chunk = group.rank(); chunk < chunks; chunk += group.size()) {
    const auto [logits, labels] = ComputeChunk(model, test, chunk, device, precision);
    const at::Tensor row = losses_and_right[chunk];  // where the device is: nobody waits for a chunk
    row[0].copy_(nn::SummedCrossEntropy(logits, labels));
    row[1].copy_(logits.argmax(1).eq(labels).sum());
  }
  const at::Tensor on_host = losses_and_right.cpu();
  group.Sum(on_host);
  const auto rows = on_host.accessor<double, 2>();
  double loss = 0;
  double right = 0;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    loss += rows[chunk][0];
    right += rows[chunk][1];
  }
  const auto total = static_cast<double>(test.size());
  return {.loss = loss / total, .accuracy = right / total, .examples = test.size()};
}

at::Tensor Probabilities(nn::Model& model, const data::Dataset& examples, at::Device device,
                         config::Precision precision) {
  const at::NoGradGuard no_gradients;
  at::Tensor probabilities = at::empty({examples.size(), examples.classes}, at::kFloat);
  const device::KeptCasts kept_casts;
  for (int64_t chunk = 0; chunk < ChunksOf(examples); ++chunk) {
    const at::Tensor logits = ComputeChunk(model, examples, chunk, device, precision).logits;
    probabilities.narrow(0, chunk * kChunk, logits.size(0)).copy_(at::softmax(logits.to(at::kFloat), 1));
  }
  return probabilities;
}

}  // namespace crescendo::train
