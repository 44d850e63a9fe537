// The layers that networks are made of. Each registers its tensors in its model under a name and holds handles to them.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "crescendo/nn/initial_weights.h"
#include "crescendo/nn/model.h"

namespace crescendo::nn {

// A square convolution without bias, padded so that stride 1 keeps the size. Weights N(0, sqrt(2 / (kernel^2 inputs))),
// He et al. 2015: what Zagoruyko & Komodakis 2016 use.
class Convolution {
 public:
  Convolution(Model& model, InitialWeights& weights, const std::string& name, int64_t inputs, int64_t outputs,
              int64_t kernel, int64_t stride);
  at::Tensor operator()(const at::Tensor& images) const;  // [n, inputs, H, W] -> [n, outputs, H/stride, W/stride]

  // The same, and the images for all else that reads them: that makes the sum of their gradients cheaper.
  struct Shared {
    at::Tensor output;
    at::Tensor images;
  };
  Shared AndItsInputs(const at::Tensor& images) const;

 private:
  std::string name_;
  at::Tensor weight_;  // [outputs, inputs, kernel, kernel], channels_last
  int64_t stride_;
  int64_t padding_;
};

// x W^T + b. Weights N(0, gain / sqrt(inputs)): gain sqrt(2) before a ReLU (He et al. 2015), 1 where nothing follows;
// biases 0.
class Linear {
 public:
  enum class Bias { kNone, kZero };
  Linear(Model& model, InitialWeights& weights, const std::string& name, int64_t inputs, int64_t outputs, double gain,
         Bias bias);
  at::Tensor operator()(const at::Tensor& inputs) const;  // [n, inputs] -> [n, outputs]

 private:
  std::string name_;
  at::Tensor weight_;  // [outputs, inputs]
  at::Tensor bias_;    // [outputs], or undefined
};

}  // namespace crescendo::nn
