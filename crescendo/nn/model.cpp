#include "crescendo/nn/model.h"

#include <utility>

namespace crescendo::nn {

int64_t Model::parameter_count() const {
  int64_t count = 0;
  for (const NamedTensor& parameter : parameters_) count += parameter.value.numel();
  return count;
}

void Model::To(at::Device device) {
  // The layers hold handles to these tensors, so what is behind the handles is moved.
  for (NamedTensor& parameter : parameters_) parameter.value.set_data(parameter.value.detach().to(device));
  for (NamedTensor& buffer : buffers_) buffer.value.set_data(buffer.value.to(device));
}

at::Tensor Model::AddParameter(const std::string& name, const at::Tensor& initial) {
  parameters_.push_back({name, initial.requires_grad_()});
  return parameters_.back().value;
}

at::Tensor Model::AddBuffer(const std::string& name, at::Tensor initial) {
  buffers_.push_back({name, std::move(initial)});
  return buffers_.back().value;
}

std::string Model::AddLayer(const std::string& name, LayerKind kind) {
  layers_.push_back({name, kind});
  return name;
}

}  // namespace crescendo::nn
