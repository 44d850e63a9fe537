// A network: named parameters, running statistics, and two ways to run it.
//
//   std::unique_ptr<Model> model = BuildModel(options.model, {3, 32, 32}, 10, seed);  // registry.h
//   at::Tensor logits = model->Forward(images, ghosts);                              // [n, classes], training
//   at::Tensor logits = model->Evaluate(images);                                     // [n, classes], running
//   statistics
//
// Training is told which examples share batch-norm statistics (schedule/split.h); evaluation knows no ghosts. There is
// no mode to switch, so neither can be forgotten. Parameters are fp32; under autocast the operators multiply in
// bfloat16.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "crescendo/base/enum_names.h"
#include "crescendo/schedule/split.h"

namespace crescendo::nn {

struct NamedTensor {
  std::string name;  // as PyTorch names it: "blocks.0.conv1.weight"
  at::Tensor value;
};

enum class LayerKind { kConvolution, kLinear, kBatchNorm };

// What holds the parameters whose names begin with `name` and a dot, and is seen by profilers under that name.
struct Layer {
  std::string name;
  LayerKind kind;
};

class Model {
 public:
  Model() = default;
  virtual ~Model() = default;
  Model(const Model&) = delete;  // the layers hold the same tensors as the lists
  Model& operator=(const Model&) = delete;

  // inputs: [n, C, H, W] or [n, F]; the ghosts' sizes add up to n. Running statistics advance once per ghost.
  at::Tensor Forward(const at::Tensor& inputs, const schedule::GhostSizes& ghosts) { return Run(inputs, &ghosts); }
  at::Tensor Evaluate(const at::Tensor& inputs) { return Run(inputs, nullptr); }

  const std::vector<NamedTensor>& parameters() const { return parameters_; }  // require gradients
  const std::vector<NamedTensor>& buffers() const { return buffers_; }        // running statistics
  const std::vector<Layer>& layers() const { return layers_; }                // as they were built
  int64_t parameter_count() const;
  void To(at::Device device);

  // For layers, while a model is built.
  at::Tensor AddParameter(const std::string& name, const at::Tensor& initial);
  at::Tensor AddBuffer(const std::string& name, at::Tensor initial);
  std::string AddLayer(const std::string& name, LayerKind kind);  // returns the name

 protected:
  // ghosts: nullptr in evaluation.
  virtual at::Tensor Run(const at::Tensor& inputs, const schedule::GhostSizes* ghosts) = 0;

 private:
  std::vector<NamedTensor> parameters_;
  std::vector<NamedTensor> buffers_;
  std::vector<Layer> layers_;
};

}  // namespace crescendo::nn

namespace crescendo {

template <>
inline constexpr auto kEnumCases<nn::LayerKind> = std::to_array<EnumCase<nn::LayerKind>>({
    {nn::LayerKind::kConvolution, "convolution", "a convolution of images"},
    {nn::LayerKind::kLinear, "linear", "a matrix product, and a bias where there is one"},
    {nn::LayerKind::kBatchNorm, "batch norm", "ghost batch norm, and the ReLU after it where both are one operation"},
});

}  // namespace crescendo
