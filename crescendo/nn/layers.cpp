#include "crescendo/nn/layers.h"

#include <ATen/ops/conv2d.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "crescendo/device/profile_scope.h"
#include "crescendo/nn/every_nth_pixel.h"
#include "crescendo/nn/linear_function.h"

namespace crescendo::nn {

Convolution::Convolution(Model& model, InitialWeights& weights, const std::string& name, int64_t inputs,
                         int64_t outputs, int64_t kernel, int64_t stride)
    : name_(model.AddLayer(name, LayerKind::kConvolution)), stride_(stride), padding_(kernel / 2) {
  const double deviation = std::sqrt(2.0 / static_cast<double>(kernel * kernel * inputs));
  weight_ = model.AddParameter(
      name + ".weight",
      weights.Normal({outputs, inputs, kernel, kernel}, deviation).contiguous(at::MemoryFormat::ChannelsLast));
}

at::Tensor Convolution::operator()(const at::Tensor& images) const {
  device::ProfileScope scope(name_, images);
  return scope.Give(at::conv2d(images, weight_, /*bias=*/{}, stride_, padding_));
}

Convolution::Shared Convolution::AndItsInputs(const at::Tensor& images) const {
  if (!images.is_cpu() || padding_ > 0 || stride_ == 1) return {(*this)(images), images};
  device::ProfileScope scope(name_, images);
  const ImagesAndPixels read = EveryNthPixel(images, stride_);
  return {scope.Give(at::conv2d(read.pixels, weight_)), read.images};
}

Linear::Linear(Model& model, InitialWeights& weights, const std::string& name, int64_t inputs, int64_t outputs,
               double gain, Bias bias)
    : name_(model.AddLayer(name, LayerKind::kLinear)),
      weight_(model.AddParameter(name + ".weight",
                                 weights.Normal({outputs, inputs}, gain / std::sqrt(static_cast<double>(inputs))))) {
  if (bias == Bias::kZero) bias_ = model.AddParameter(name + ".bias", at::zeros({outputs}));
}

at::Tensor Linear::operator()(const at::Tensor& inputs) const {
  device::ProfileScope scope(name_, inputs);
  return scope.Give(CanMultiplyTable(inputs, weight_) ? MultiplyTable(inputs, weight_, bias_)
                                                      : at::linear(inputs, weight_, bias_));
}

}  // namespace crescendo::nn
