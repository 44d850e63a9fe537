// run.gpu_graphs: forward and backward of a micro-batch as one CUDA graph per shape (device/work_graph.h), replayed as
// often as the plan says. What differs between replays is data on the device: the examples, the division by the global
// batch, and the gradients that the micro-batch adds to. Learning rate and momentum stand outside, in the optimizer's
// step, so a schedule that changes them records nothing anew.
//
//   RecordedMicroBatches recorded(device, model, compute);
//   recorded.BeginUpdate();                                    // .grad: zeros, always in the same place
//   loss = recorded.Run(batch, ghosts, 1.0 / global_batch);    // for each micro-batch
//
// The first few micro-batches of a shape are computed as they would be without graphs: libraries choose their
// algorithms and take their memory then, which cannot be recorded. One worker only: what several add up waits for the
// host.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "crescendo/data/batch.h"
#include "crescendo/device/work_graph.h"
#include "crescendo/nn/model.h"
#include "crescendo/schedule/split.h"
#include "crescendo/train/flat_tensors.h"

namespace crescendo::train {

class RecordedMicroBatches {
 public:
  // Adds the gradient of a micro-batch's loss times `scale` (a float without dimensions) to .grad and returns the sum
  // of the losses of its examples, on the device.
  using Compute =
      std::function<at::Tensor(const data::Batch& batch, const schedule::GhostSizes& ghosts, const at::Tensor& scale)>;

  // The model's parameters stay where they are while this lives.
  RecordedMicroBatches(at::Device device, const nn::Model& model, Compute compute);

  void BeginUpdate();

  // What `compute` returns, in memory of its own. `batch` is on the device. RunError where it cannot be recorded.
  at::Tensor Run(const data::Batch& batch, const schedule::GhostSizes& ghosts, double scale);

 private:
  struct Shape {
    int computed = 0;             // before it was recorded
    std::optional<size_t> graph;  // reads `batch`, writes `loss`
    data::Batch batch;
    at::Tensor loss;
  };

  void Record(const schedule::GhostSizes& ghosts, Shape& shape);

  Compute compute_;
  std::vector<at::Tensor> parameters_;
  FlatTensors gradients_;
  at::Tensor scale_;
  std::map<schedule::GhostSizes, Shape> shapes_;
  device::WorkGraphs graphs_;
};

}  // namespace crescendo::train
