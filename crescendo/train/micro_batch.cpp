#include "crescendo/train/micro_batch.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/ones_like.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include "crescendo/base/error.h"
#include "crescendo/data/loader.h"
#include "crescendo/device/autocast.h"
#include "crescendo/device/memory.h"
#include "crescendo/nn/backward.h"
#include "crescendo/nn/loss.h"

namespace crescendo::train {
namespace {

using schedule::Examples;

struct Trial {
  double seconds_per_example;  // the better of two passes after a first that warms up
  int64_t bytes;
};

// Forward and backward of `size` examples. Nothing where they do not fit into memory, or it is stopped.
std::optional<Trial> Try(Parts& parts, Examples size, const std::atomic<int>& stop) {
  const schedule::GhostSizes ghosts = schedule::SplitIntoGhosts(size, Examples{parts.options.model.ghost_batch});
  const int64_t count = std::min(size.value(), parts.data.train.size());
  const data::Batch batch = data::TestBatch(parts.data.train, 0, count);
  // Small training sets are repeated; what is in the examples does not matter here.
  const int64_t repeats = (size.value() + count - 1) / count;
  std::vector<int64_t> tiling(static_cast<size_t>(batch.inputs.dim()), 1);
  tiling[0] = repeats;
  const device::PeakMemory peak(parts.device);
  double best = HUGE_VAL;
  try {
    const at::Tensor inputs = batch.inputs.repeat(tiling).narrow(0, 0, size.value()).to(parts.device);
    const at::Tensor labels = batch.labels.repeat({repeats}).narrow(0, 0, size.value()).to(parts.device);
    for (int pass = 0; pass < 3; ++pass) {
      if (stop != 0) return std::nullopt;
      const auto begin = std::chrono::steady_clock::now();
      at::Tensor loss;
      {
        const device::Autocast autocast(parts.device, parts.options.run.precision);
        loss = nn::SummedCrossEntropy(parts.model->Forward(inputs, ghosts), labels);
      }
      nn::Backward(loss, at::ones_like(loss));  // as training does
      (void)loss.item<double>();                // waits for a GPU
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      if (pass > 0) best = std::min(best, seconds);
    }
  } catch (const c10::OutOfMemoryError&) {
    return std::nullopt;
  }
  return Trial{best / static_cast<double>(size.value()), peak.Rise()};
}

// The best size here, 0 where not even one ghost batch fits into memory or it was stopped.
Examples BestSize(Parts& parts, int64_t memory, const std::atomic<int>& stop) {
  // The largest share of a worker is that of the first.
  const Examples ghost{parts.options.model.ghost_batch};
  Examples largest{0};
  for (size_t i = 0; i < parts.plan.phases().size(); ++i) {
    const Examples batch = parts.plan.phases()[i].global_batch;
    largest = std::max(largest, schedule::ShareOfRank(batch, ghost, /*rank=*/0, parts.workers_of_phases[i]).size);
  }
  Examples chosen = std::min(ghost, largest);
  std::optional<Trial> trial = Try(parts, chosen, stop);
  if (!trial) return Examples{0};
  while (chosen < largest) {
    const Examples size = std::min(chosen * 2, largest);
    const double growth = static_cast<double>(size.value()) / static_cast<double>(chosen.value());
    if (static_cast<double>(trial->bytes) * growth > static_cast<double>(memory)) break;
    const std::optional<Trial> next = Try(parts, size, stop);
    if (!next) break;
    if (parts.device.is_cpu() && next->seconds_per_example > 0.97 * trial->seconds_per_example) break;
    chosen = size;
    trial = next;
  }
  return chosen;
}

}  // namespace

MicroBatchChoice ChooseMicroBatch(Parts& parts, const std::atomic<int>& stop) {
  const int64_t eighths = UsesGraphs(parts) ? 3 : 6;
  return ChooseMicroBatch(parts, stop, device::FreeMemoryBytes(parts.device) / 8 * eighths);
}

int64_t MemoryForData(const Parts& parts) {
  return parts.device.is_cpu() ? 0 : device::FreeMemoryBytes(parts.device) / 4;
}

MicroBatchChoice ChooseMicroBatch(Parts& parts, const std::atomic<int>& stop, int64_t memory) {
  if (parts.options.run.micro_batch) return {Examples{*parts.options.run.micro_batch}};
  if (parts.options.run.reproducible) return {Examples{parts.options.model.ghost_batch}};  // computed alone in any case

  std::vector<at::Tensor> statistics;
  for (const nn::NamedTensor& buffer : parts.model->buffers()) statistics.push_back(buffer.value.clone());

  // The same for all workers, also where only one of them is out of memory, or stopped: below 0, a signal.
  const Examples best = BestSize(parts, memory, stop);
  const int signal = stop;
  const Examples chosen{parts.group->Min(signal != 0 ? -signal : best.value())};
  if (chosen == Examples{0}) {
    throw RunError(
        fmt::format("one ghost batch of {} examples does not fit into memory; a smaller model.ghost_batch does",
                    parts.options.model.ghost_batch));
  }
  parts.optimizer->ZeroGradients();
  const at::NoGradGuard no_gradients;
  for (size_t i = 0; i < statistics.size(); ++i) parts.model->buffers()[i].value.copy_(statistics[i]);
  device::ReleaseKeptMemory(parts.device);  // blocks of sizes that training will not ask for
  if (chosen < Examples{0}) return {Examples{0}, static_cast<int>(-chosen.value())};
  return {chosen};
}

}  // namespace crescendo::train
