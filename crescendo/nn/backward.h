// loss.backward(gradient) for the networks that are small enough for it to matter how long LibTorch's engine takes.
#pragma once

#include <ATen/core/Tensor.h>

namespace crescendo::nn {

// Adds the gradient of `loss` (a scalar) times `gradient` (the same) to the .grad of the leaves it was made of, and
// frees what was kept for that, so that it works once.
//
// Where the graph is a chain of LeanNodes, each node is called in turn from here; otherwise by LibTorch's engine, which
// queues the nodes and sets up a thread's state for each one, in sum longer than a small network computes. Both give
// the same bits. Hooks on leaves for after their gradient run in both; no other hooks may be set in such a chain.
void Backward(const at::Tensor& loss, const at::Tensor& gradient);

}  // namespace crescendo::nn
