// What the tests of networks share.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>

#include <map>
#include <string>
#include <vector>

#include "crescendo/nn/model.h"

namespace crescendo::nn {

// Element i is scale * sin(phase + 1.7 i), in fp32: the inputs and weights of tests, and of testdata/make_tables.py.
inline at::Tensor Wave(at::IntArrayRef shape, double phase, double scale) {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return at::arange(count, at::kDouble).mul(1.7).add(phase).sin().mul(scale).reshape(shape).to(at::kFloat);
}

// The largest difference of two tensors, relative to the largest value of `expected`.
inline double RelativeDifference(const at::Tensor& got, const at::Tensor& expected) {
  const at::Tensor reference = expected.to(at::kDouble);
  const double scale = reference.abs().max().item<double>();
  const double difference = got.to(at::kDouble).sub(reference).abs().max().item<double>();
  return scale > 0 ? difference / scale : difference;
}

inline at::Tensor Find(const std::vector<NamedTensor>& tensors, const std::string& name) {
  for (const NamedTensor& tensor : tensors) {
    if (tensor.name == name) return tensor.value;
  }
  return {};
}

inline std::vector<std::string> Names(const std::vector<NamedTensor>& tensors) {
  std::vector<std::string> names;
  for (const NamedTensor& tensor : tensors) names.push_back(tensor.name);
  return names;
}

// Gradients and running statistics, by name.
inline std::map<std::string, at::Tensor> Outcome(const Model& model) {
  std::map<std::string, at::Tensor> outcome;
  for (const NamedTensor& parameter : model.parameters()) outcome[parameter.name] = parameter.value.grad().clone();
  for (const NamedTensor& buffer : model.buffers()) outcome[buffer.name] = buffer.value.clone();
  return outcome;
}

}  // namespace crescendo::nn
