// The layer-wise rates of LARS and LAMB: a ratio of two norms per parameter, found without waiting for a GPU.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace crescendo::optim {

// The Euclidean norm of each tensor, in one: [tensors].
at::Tensor Norms(const std::vector<at::Tensor>& tensors);

// coefficient * numerators / denominators, each [n], as n tensors without dimensions. Where either norm is 0, the ratio
// is 1: weights that are all zero would otherwise stay so for ever.
std::vector<at::Tensor> TrustRatios(double coefficient, const at::Tensor& numerators, const at::Tensor& denominators);

}  // namespace crescendo::optim
