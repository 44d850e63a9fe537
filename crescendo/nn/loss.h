// What training makes small.
#pragma once

#include <ATen/core/Tensor.h>

namespace crescendo::nn {

// Softmax cross entropy, SUMMED over the examples: an update divides the sum over all its micro-batches once, by the
// global batch, so that no mean of means is ever taken. logits: [n, classes], any floating type, computed in fp32;
// labels: int64 [n]; result: a scalar.
at::Tensor SummedCrossEntropy(const at::Tensor& logits, const at::Tensor& labels);

}  // namespace crescendo::nn
