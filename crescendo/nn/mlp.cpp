// A multilayer perceptron: linear, ghost batch norm, ReLU, for each hidden layer; then linear. Images are flattened.
#include <ATen/ops/relu.h>

#include <cmath>
#include <functional>
#include <numeric>
#include <optional>

#include "crescendo/nn/ghost_batch_norm.h"
#include "crescendo/nn/layers.h"
#include "crescendo/nn/registry.h"

namespace crescendo::nn {
namespace {

class Mlp : public Model {
 public:
  explicit Mlp(const ModelRequest& request) {
    InitialWeights weights(request.seed);
    const std::vector<int64_t>& shape = request.example_shape;
    int64_t width = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
    const bool normalise = request.options.batch_norm;
    for (size_t i = 0; i < request.options.hidden.size(); ++i) {
      const int64_t units = request.options.hidden[i];
      const std::string name = "hidden." + std::to_string(i);
      // Batch norm takes a bias out again, so a layer has one or the other.
      Hidden hidden{Linear(*this, weights, name + ".linear", width, units, std::sqrt(2.0),
                           normalise ? Linear::Bias::kNone : Linear::Bias::kZero),
                    std::nullopt};
      if (normalise) hidden.norm.emplace(*this, name + ".norm", units, request.options);
      hidden_.push_back(std::move(hidden));
      width = units;
    }
    output_.emplace(*this, weights, "output", width, request.classes, 1.0, Linear::Bias::kZero);
  }

 protected:
  at::Tensor Run(const at::Tensor& inputs, const schedule::GhostSizes* ghosts) override {
    at::Tensor x = inputs.flatten(1);
    for (const Hidden& hidden : hidden_) {
      x = hidden.linear(x);
      x = hidden.norm ? hidden.norm->ThenRelu(x, ghosts) : at::relu(x);
    }
    return (*output_)(x);
  }

 private:
  struct Hidden {
    Linear linear;
    std::optional<GhostBatchNorm> norm;
  };
  std::vector<Hidden> hidden_;
  std::optional<Linear> output_;
};

}  // namespace

std::unique_ptr<Model> MakeMlp(const ModelRequest& request) { return std::make_unique<Mlp>(request); }

}  // namespace crescendo::nn
