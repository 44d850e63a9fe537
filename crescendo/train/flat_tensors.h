// Tensors that lie one after the other in one piece of memory.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/zeros.h>

#include <vector>

namespace crescendo::train {

struct FlatTensors {
  at::Tensor memory;              // [elements]
  std::vector<at::Tensor> views;  // into it
};

// Zeros, with views that have the sizes and strides of `tensors`, which are dense in memory, of one type and on one
// device. Each begins at a multiple of 64 bytes, as tensors of their own do; what lies between them stays 0.
inline FlatTensors ZerosLike(const std::vector<at::Tensor>& tensors) {
  const auto step = static_cast<int64_t>(64 / tensors.front().element_size());
  const auto room = [&](const at::Tensor& tensor) { return (tensor.numel() + step - 1) / step * step; };
  int64_t size = 0;
  for (const at::Tensor& tensor : tensors) size += room(tensor);
  FlatTensors flat;
  flat.memory = at::zeros({size}, tensors.front().detach().options());
  int64_t begin = 0;
  for (const at::Tensor& tensor : tensors) {
    flat.views.push_back(flat.memory.as_strided(tensor.sizes(), tensor.strides(), begin));
    begin += room(tensor);
  }
  return flat;
}

}  // namespace crescendo::train
