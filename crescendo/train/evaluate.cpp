#include "crescendo/train/evaluate.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "crescendo/data/loader.h"
#include "crescendo/device/autocast.h"
#include "crescendo/nn/loss.h"

namespace crescendo::train {

Evaluation Evaluate(nn::Model& model, const data::Dataset& test, at::Device device, config::Precision precision,
                    distributed::Group& group) {
  constexpr int64_t kChunk = 500;
  const at::NoGradGuard no_gradients;
  const int64_t total = test.labels.size(0);
  const int64_t chunks = (total + kChunk - 1) / kChunk;
  // Each worker fills its rows and the others are zero, so that adding them is exact; then the rows are added in order.
  const at::Tensor losses_and_right = at::zeros({chunks, 2}, at::TensorOptions(at::kDouble).device(device));
  const device::KeptCasts kept_casts;
  for (int64_t chunk = group.rank(); chunk < chunks; chunk += group.size()) {
    const int64_t begin = chunk * kChunk;
    const data::Batch batch = data::TestBatch(test, begin, std::min(kChunk, total - begin));
    const at::Tensor labels = batch.labels.to(device);
    at::Tensor logits;
    {
      const device::Autocast autocast(device, precision);
      logits = model.Evaluate(batch.inputs.to(device));
    }
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
  return {.loss = loss / static_cast<double>(total), .accuracy = right / static_cast<double>(total), .examples = total};
}

}  // namespace crescendo::train
