#include "crescendo/train/recorded_micro_batches.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
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

// The same elements in the same place, where strides differ in dimensions of size 1 alone, as those of 1 x 1
// convolutions do; in another order a copy. What adds lists of tensors takes one launch only where strides are equal.
at::Tensor WithStridesOf(const at::Tensor& like, const at::Tensor& tensor) {
  bool same_place = true;
  for (int64_t i = 0; i < like.dim(); ++i) same_place &= like.size(i) == 1 || like.stride(i) == tensor.stride(i);
  return same_place ? tensor.as_strided(like.sizes(), like.strides()) : at::empty_like(like).copy_(tensor);
}

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
  if (!shape.graph && shape.computed++ < kComputedBefore) return ComputeAndAdd(batch, ghosts);
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

// The gradients of all parameters are added in one launch, where autograd would add each by itself.
at::Tensor RecordedMicroBatches::ComputeAndAdd(const data::Batch& batch, const schedule::GhostSizes& ghosts) {
  for (const at::Tensor& parameter : parameters_) parameter.mutable_grad().reset();
  at::Tensor loss = compute_(batch, ghosts, scale_);
  const at::NoGradGuard no_gradients;
  std::vector<at::Tensor> sums;
  std::vector<at::Tensor> gradients;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    at::Tensor& gradient = parameters_[i].mutable_grad();
    if (gradient.defined()) {
      sums.push_back(gradients_.views[i]);
      gradients.push_back(WithStridesOf(gradients_.views[i], gradient));
    }
    gradient = gradients_.views[i];
  }
  at::_foreach_add_(sums, gradients);
  return loss;
}

void RecordedMicroBatches::Record(const schedule::GhostSizes& ghosts, Shape& shape) {
  try {
    shape.graph = graphs_.Record([this, ghosts, &shape] { shape.loss = ComputeAndAdd(shape.batch, ghosts); });
  } catch (const c10::Error& error) {
    throw RunError(
        fmt::format("a micro-batch could not be recorded as a CUDA graph (run.gpu_graphs = false trains without): {}",
                    error.what_without_backtrace()));
  }
}

}  // namespace crescendo::train
