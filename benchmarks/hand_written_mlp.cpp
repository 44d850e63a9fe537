#include "benchmarks/hand_written_mlp.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>

namespace crescendo::benchmarks {
namespace {

constexpr float kEpsilon = 1e-5F;
constexpr float kShare = 0.1F;  // of a batch in the running statistics

float* Floats(const at::Tensor& tensor) { return tensor.mutable_data_ptr<float>(); }

}  // namespace

HandWrittenMlp::HandWrittenMlp(int64_t batch, const std::vector<int64_t>& widths) {
  const auto weights = [](const at::Tensor& initial) {
    return Weights{initial, at::zeros_like(initial), at::zeros_like(initial)};
  };
  for (size_t i = 0; i + 1 < widths.size(); ++i) {
    const int64_t inputs = widths[i];
    const int64_t outputs = widths[i + 1];
    Layer layer;
    layer.weight = weights(at::randn({outputs, inputs}).mul_(std::sqrt(2.0 / static_cast<double>(inputs))));
    if (i + 2 < widths.size()) layer.scale = weights(at::ones({outputs}));
    layer.shift = weights(at::zeros({outputs}));
    layer.mean = at::zeros({outputs});
    layer.variance = at::ones({outputs});
    layer.linear = at::zeros({batch, outputs});
    layer.normalised = at::zeros({batch, outputs});
    layer.output = at::zeros({batch, outputs});
    layer.inverse_deviation = at::zeros({outputs});
    layer.inputs_gradient = at::zeros({batch, inputs});
    layers_.push_back(layer);
  }
}

void HandWrittenMlp::NormaliseAndRectify(const Layer& layer) {
  const int64_t rows = layer.linear.size(0);
  const int64_t features = layer.linear.size(1);
  const float* x = Floats(layer.linear);
  const float* scale = Floats(layer.scale.value);
  const float* shift = Floats(layer.shift.value);
  std::vector<float> mean(static_cast<size_t>(features));
  std::vector<float> variance(static_cast<size_t>(features));
  const float share = 1 / static_cast<float>(rows);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t f = 0; f < features; ++f) mean[f] += x[r * features + f] * share;
  }
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t f = 0; f < features; ++f) {
      const float centred = x[r * features + f] - mean[f];
      variance[f] += centred * centred * share;
    }
  }
  float* inverse = Floats(layer.inverse_deviation);
  float* running_mean = Floats(layer.mean);
  float* running_variance = Floats(layer.variance);
  const float unbiased = static_cast<float>(rows) / static_cast<float>(rows - 1);
  for (int64_t f = 0; f < features; ++f) {
    inverse[f] = 1 / std::sqrt(variance[f] + kEpsilon);
    running_mean[f] += kShare * (mean[f] - running_mean[f]);
    running_variance[f] += kShare * (unbiased * variance[f] - running_variance[f]);
  }
  float* normalised = Floats(layer.normalised);
  float* output = Floats(layer.output);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t f = 0; f < features; ++f) {
      const int64_t i = r * features + f;
      normalised[i] = (x[i] - mean[f]) * inverse[f];
      output[i] = std::max(normalised[i] * scale[f] + shift[f], 0.0F);
    }
  }
}

// Puts the gradient of what the GEMM gave into layer.linear.
void HandWrittenMlp::Backward(const Layer& layer, const at::Tensor& outputs_gradient) {
  const int64_t rows = layer.linear.size(0);
  const int64_t features = layer.linear.size(1);
  const float* gradient = Floats(outputs_gradient);
  const float* output = Floats(layer.output);
  const float* normalised = Floats(layer.normalised);
  const float* inverse = Floats(layer.inverse_deviation);
  const float* scale = Floats(layer.scale.value);
  float* scale_gradient = Floats(layer.scale.gradient);
  float* shift_gradient = Floats(layer.shift.gradient);
  std::fill_n(scale_gradient, features, 0.0F);
  std::fill_n(shift_gradient, features, 0.0F);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t f = 0; f < features; ++f) {
      const int64_t i = r * features + f;
      const float g = output[i] > 0 ? gradient[i] : 0;
      shift_gradient[f] += g;
      scale_gradient[f] += g * normalised[i];
    }
  }
  float* result = Floats(layer.linear);
  const float share = 1 / static_cast<float>(rows);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t f = 0; f < features; ++f) {
      const int64_t i = r * features + f;
      const float g = output[i] > 0 ? gradient[i] : 0;
      result[i] = scale[f] * inverse[f] * (g - share * (shift_gradient[f] + normalised[i] * scale_gradient[f]));
    }
  }
}

double HandWrittenMlp::Step(const at::Tensor& inputs, const at::Tensor& labels, double learning_rate, double momentum,
                            double weight_decay) {
  const at::NoGradGuard no_gradients;
  const at::Tensor* x = &inputs;
  for (Layer& layer : layers_) {
    at::mm_out(layer.linear, *x, layer.weight.value.t());
    if (layer.scale.value.defined()) NormaliseAndRectify(layer);
    x = &layer.output;
  }

  // The last layer: bias, softmax, and its gradient in place.
  const Layer& last = layers_.back();
  const int64_t rows = last.linear.size(0);
  const int64_t classes = last.linear.size(1);
  float* logits = Floats(last.linear);
  const float* bias = Floats(last.shift.value);
  float* bias_gradient = Floats(last.shift.gradient);
  const int64_t* label = labels.const_data_ptr<int64_t>();
  std::fill_n(bias_gradient, classes, 0.0F);
  double loss = 0;
  const float share = 1 / static_cast<float>(rows);
  for (int64_t r = 0; r < rows; ++r, logits += classes) {
    for (int64_t c = 0; c < classes; ++c) logits[c] += bias[c];
    const float largest = *std::max_element(logits, logits + classes);
    const float of_label = logits[label[r]] - largest;
    float sum = 0;
    for (int64_t c = 0; c < classes; ++c) sum += logits[c] = std::exp(logits[c] - largest);
    loss += std::log(sum) - of_label;
    for (int64_t c = 0; c < classes; ++c) {
      logits[c] = (logits[c] / sum - (c == label[r] ? 1.0F : 0.0F)) * share;
      bias_gradient[c] += logits[c];
    }
  }

  for (size_t i = layers_.size(); i-- > 0;) {
    Layer& layer = layers_[i];
    if (layer.scale.value.defined()) Backward(layer, layers_[i + 1].inputs_gradient);
    at::mm_out(layer.weight.gradient, layer.linear.t(), i > 0 ? layers_[i - 1].output : inputs);
    if (i > 0) at::mm_out(layer.inputs_gradient, layer.linear, layer.weight.value);
  }

  const auto step = [&](const Weights& weights) {
    if (!weights.value.defined()) return;
    float* value = Floats(weights.value);
    float* buffer = Floats(weights.buffer);
    const float* gradient = Floats(weights.gradient);
    const int64_t count = weights.value.numel();
    for (int64_t i = 0; i < count; ++i) {
      buffer[i] = static_cast<float>(momentum) * buffer[i] + gradient[i] + static_cast<float>(weight_decay) * value[i];
      value[i] -= static_cast<float>(learning_rate) * buffer[i];
    }
  };
  for (const Layer& layer : layers_) {
    step(layer.weight);
    step(layer.scale);
    step(layer.shift);
  }
  return loss * share;
}

}  // namespace crescendo::benchmarks
