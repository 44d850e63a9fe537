#include "crescendo/train/micro_batch.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "crescendo/base/error.h"
#include "crescendo/data/loader.h"
#include "crescendo/device/autocast.h"
#include "crescendo/nn/loss.h"

namespace crescendo::train {
namespace {

using schedule::Examples;

// Seconds per example of a forward and backward pass over `size` examples, the better of two after a first that warms
// up. Nothing where they do not fit into memory.
std::optional<double> SecondsPerExample(Parts& parts, Examples size) {
  const schedule::GhostSizes ghosts = schedule::SplitIntoGhosts(size, Examples{parts.options.model.ghost_batch});
  const int64_t count = std::min(size.value(), parts.data.train.labels.size(0));
  const data::Batch batch = data::TestBatch(parts.data.train, 0, count);
  // Small training sets are repeated; what is in the examples does not matter here.
  const int64_t repeats = (size.value() + count - 1) / count;
  std::vector<int64_t> tiling(static_cast<size_t>(batch.inputs.dim()), 1);
  tiling[0] = repeats;
  const at::Tensor inputs = batch.inputs.repeat(tiling).narrow(0, 0, size.value()).to(parts.device);
  const at::Tensor labels = batch.labels.repeat({repeats}).narrow(0, 0, size.value()).to(parts.device);
  double best = 0;
  try {
    for (int pass = 0; pass < 3; ++pass) {
      const auto begin = std::chrono::steady_clock::now();
      at::Tensor loss;
      {
        const device::Autocast autocast(parts.device, parts.options.run.precision);
        loss = nn::SummedCrossEntropy(parts.model->Forward(inputs, ghosts), labels);
      }
      loss.backward();
      (void)loss.item<double>();  // waits for a GPU
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      if (pass == 1 || (pass == 2 && seconds < best)) best = seconds;
    }
  } catch (const c10::OutOfMemoryError&) {
    return std::nullopt;
  }
  return best / static_cast<double>(size.value());
}

}  // namespace

Examples ChooseMicroBatch(Parts& parts) {
  if (parts.options.run.micro_batch) return Examples{*parts.options.run.micro_batch};

  std::vector<at::Tensor> statistics;
  for (const nn::NamedTensor& buffer : parts.model->buffers()) statistics.push_back(buffer.value.clone());

  const Examples largest = parts.plan.largest_batch();
  Examples chosen = std::min(Examples{parts.options.model.ghost_batch}, largest);
  std::optional<double> fastest = SecondsPerExample(parts, chosen);
  if (!fastest) {
    throw RunError(
        fmt::format("one ghost batch of {} examples does not fit into memory; a smaller model.ghost_batch does",
                    parts.options.model.ghost_batch));
  }
  for (Examples size = chosen * 2; size <= largest; size = size * 2) {
    const std::optional<double> seconds = SecondsPerExample(parts, size);
    if (!seconds || *seconds > 0.97 * *fastest) break;
    chosen = size;
    fastest = seconds;
  }

  parts.optimizer->ZeroGradients();
  const at::NoGradGuard no_gradients;
  for (size_t i = 0; i < statistics.size(); ++i) parts.model->buffers()[i].value.copy_(statistics[i]);
  return chosen;
}

}  // namespace crescendo::train
