#include "crescendo/train/recorded_micro_batches.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <utility>

#include "crescendo/base/error.h"
#include "crescendo/train/model_tensors.h"

namespace crescendo::train {
namespace {

constexpr int kComputedBefore = 3;

// A schedule whose batch changes at every update has ever new shapes.
constexpr size_t kMostShapes = 64;

}  // namespace

RecordedMicroBatches::RecordedMicroBatches(at::Device device, const nn::Model& model, Compute compute)
    : compute_(std::move(compute)),
      parameters_(ValuesOf(model.parameters())),
      gradients_(ZerosLike(parameters_)),
      scale_(at::empty({}, at::TensorOptions(at::kFloat).device(device))),
      graphs_(device) {}

void RecordedMicroBatches::BeginUpdate() {
  const at::NoGradGuard no_gradients;
  gradients_.memory.zero_();
  for (size_t i = 0; i < parameters_.size(); ++i) parameters_[i].mutable_grad() = gradients_.views[i];
}

at::Tensor RecordedMicroBatches::Run(const data::Batch& batch, const schedule::GhostSizes& ghosts, double scale) {
  scale_.fill_(scale);
  if (shapes_.size() == kMostShapes && !shapes_.contains(ghosts)) {
    graphs_.Clear();
    shapes_.clear();
  }
  Shape& shape = shapes_[ghosts];
  if (!shape.graph && shape.computed++ < kComputedBefore) return compute_(batch, ghosts, scale_);
  if (!shape.graph) {
    shape.batch = {.inputs = batch.inputs.clone(), .labels = batch.labels.clone()};
    Record(ghosts, shape);
  } else {
    shape.batch.inputs.copy_(batch.inputs);
    shape.batch.labels.copy_(batch.labels);
  }
  graphs_.Replay(*shape.graph);
  return shape.loss.clone();
}

void RecordedMicroBatches::Record(const schedule::GhostSizes& ghosts, Shape& shape) {
  try {
    shape.graph = graphs_.Record([this, ghosts, &shape] { shape.loss = compute_(shape.batch, ghosts, scale_); });
  } catch (const c10::Error& error) {
    throw RunError(
        fmt::format("a micro-batch could not be recorded as a CUDA graph (run.gpu_graphs = false trains without): {}",
                    error.what_without_backtrace()));
  }
}

}  // namespace crescendo::train
