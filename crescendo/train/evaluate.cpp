#include "crescendo/train/evaluate.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "crescendo/data/loader.h"
#include "crescendo/device/autocast.h"
#include "crescendo/nn/loss.h"

namespace crescendo::train {

Evaluation Evaluate(nn::Model& model, const data::Dataset& test, at::Device device, config::Precision precision) {
  // Fixed, so that the sums are added in the same order wherever this is called from.
  constexpr int64_t kChunk = 500;
  const at::NoGradGuard no_gradients;
  const int64_t total = test.labels.size(0);
  double loss = 0;
  int64_t right = 0;
  for (int64_t begin = 0; begin < total; begin += kChunk) {
    const data::Batch batch = data::TestBatch(test, begin, std::min(kChunk, total - begin));
    const at::Tensor labels = batch.labels.to(device);
    at::Tensor logits;
    {
      const device::Autocast autocast(device, precision);
      logits = model.Evaluate(batch.inputs.to(device));
    }
    loss += nn::SummedCrossEntropy(logits, labels).item<double>();
    right += logits.argmax(1).eq(labels).sum().item<int64_t>();
  }
  return {.loss = loss / static_cast<double>(total),
          .accuracy = static_cast<double>(right) / static_cast<double>(total),
          .examples = total};
}

}  // namespace crescendo::train
