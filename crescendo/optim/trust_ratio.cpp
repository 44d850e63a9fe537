#include "crescendo/optim/trust_ratio.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>

namespace crescendo::optim {

at::Tensor Norms(const std::vector<at::Tensor>& tensors) { return at::stack(at::_foreach_norm(tensors)); }

std::vector<at::Tensor> TrustRatios(double coefficient, const at::Tensor& numerators, const at::Tensor& denominators) {
  const at::Tensor is_defined = numerators.gt(0).logical_and(denominators.gt(0));
  return at::where(is_defined, coefficient * numerators / denominators, 1).unbind();
}

}  // namespace crescendo::optim
