// The small network that crescendo's is measured beside, as one would write it by hand for this one purpose: no
// autograd, all memory made beforehand, a GEMM for each product and plain loops for the rest. It computes the same:
// linear, batch norm over the batch, ReLU, for each hidden layer; linear; summed cross-entropy; SGD with momentum.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace crescendo::benchmarks {

class HandWrittenMlp {
 public:
  // `widths`: inputs, hidden layers, classes.
  HandWrittenMlp(int64_t batch, const std::vector<int64_t>& widths);

  // One update on [batch, inputs] and [batch]; returns the mean loss before it.
  double Step(const at::Tensor& inputs, const at::Tensor& labels, double learning_rate, double momentum,
              double weight_decay);

 private:
  struct Weights {
    at::Tensor value;     // in and out as GEMM wants them
    at::Tensor gradient;  // of the mean loss
    at::Tensor buffer;    // of momentum
  };
  struct Layer {
    Weights weight;                // [outputs, inputs]
    Weights scale;                 // of batch norm; in the last layer undefined
    Weights shift;                 // of batch norm, or the bias
    at::Tensor mean;               // running
    at::Tensor variance;           // running
    at::Tensor linear;             // [batch, outputs]: what the GEMM gives; on the way back its gradient
    at::Tensor normalised;         // before scale and shift
    at::Tensor output;             // after ReLU
    at::Tensor inverse_deviation;  // [outputs]
    at::Tensor inputs_gradient;    // [batch, inputs]
  };

  static void NormaliseAndRectify(const Layer& layer);
  static void Backward(const Layer& layer, const at::Tensor& outputs_gradient);

  std::vector<Layer> layers_;
};

}  // namespace crescendo::benchmarks
