// The tensors of a model without their names.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "crescendo/nn/model.h"

namespace crescendo::train {

inline std::vector<at::Tensor> ValuesOf(const std::vector<nn::NamedTensor>& tensors) {
  std::vector<at::Tensor> values;
  values.reserve(tensors.size());
  for (const nn::NamedTensor& tensor : tensors) values.push_back(tensor.value);
  return values;
}

}  // namespace crescendo::train
