// WRN-d-k, Zagoruyko & Komodakis, "Wide Residual Networks" (BMVC 2016), d = 6n + 4: a convolution to 16 channels, three
// groups of n blocks of widths 16k, 32k, 64k with strides 1, 2, 2, batch norm and ReLU, average over the image, linear.
// A block is pre-activated:
//   o = ReLU(BN(x));  y = conv(ReLU(BN(conv(o))));  y + x, or y + conv1x1(o) where the widths differ.
// The sum is made by the norm that reads it, the next block's or the last, which saves passes over memory.
#include <optional>

#include "crescendo/nn/ghost_batch_norm.h"
#include "crescendo/nn/layers.h"
#include "crescendo/nn/registry.h"

namespace crescendo::nn {
namespace {

class Block {
 public:
  Block(Model& model, InitialWeights& weights, const std::string& name, int64_t inputs, int64_t outputs, int64_t stride,
        const config::ModelOptions& options)
      : norm1_(model, name + ".bn1", inputs, options),
        conv1_(model, weights, name + ".conv1", inputs, outputs, 3, stride),
        norm2_(model, name + ".bn2", outputs, options),
        conv2_(model, weights, name + ".conv2", outputs, outputs, 3, 1) {
    if (inputs != outputs) shortcut_.emplace(model, weights, name + ".short", inputs, outputs, 1, stride);
  }

  // What is to be added up: y, and x or conv1x1(o). Nothing but the sum needs y, which a convolution gave.
  struct Sum {
    at::Tensor branch;
    at::Tensor shortcut;  // undefined before the first block
  };

  Sum operator()(const Sum& inputs, const schedule::GhostSizes* ghosts) const {
    const auto [o, x] = norm1_.SumThenRelu(inputs.branch, inputs.shortcut, ghosts);
    if (!shortcut_) return {conv2_(norm2_.ThenRelu(conv1_(o), ghosts)), x};
    const auto [shortcut, images] = shortcut_->AndItsInputs(o);
    return {conv2_(norm2_.ThenRelu(conv1_(images), ghosts)), shortcut};
  }

 private:
  GhostBatchNorm norm1_;
  Convolution conv1_;
  GhostBatchNorm norm2_;
  Convolution conv2_;
  std::optional<Convolution> shortcut_;
};

class WideResNet : public Model {
 public:
  explicit WideResNet(const ModelRequest& request) {
    const config::ModelOptions& options = request.options;
    InitialWeights weights(request.seed);
    first_.emplace(*this, weights, "conv", request.example_shape.at(0), 16, 3, 1);
    const int64_t blocks = (options.depth - 4) / 6;
    int64_t channels = 16;
    for (int64_t group = 0; group < 3; ++group) {
      const int64_t outputs = (int64_t{16} << group) * options.width;
      for (int64_t i = 0; i < blocks; ++i) {
        const int64_t stride = group > 0 && i == 0 ? 2 : 1;
        blocks_.emplace_back(*this, weights, "blocks." + std::to_string(blocks_.size()), channels, outputs, stride,
                             options);
        channels = outputs;
      }
    }
    norm_.emplace(*this, "bn", channels, options);
    output_.emplace(*this, weights, "fc", channels, request.classes, 1.0, Linear::Bias::kZero);
  }

 protected:
  at::Tensor Run(const at::Tensor& inputs, const schedule::GhostSizes* ghosts) override {
    // Channels last is what the convolutions of CPUs and GPUs are fastest in. The inputs may come in either layout, and
    // of a single channel both look alike.
    Block::Sum x = {(*first_)(inputs).contiguous(at::MemoryFormat::ChannelsLast), {}};
    for (const Block& block : blocks_) x = block(x, ghosts);
    return (*output_)(norm_->SumThenRelu(x.branch, x.shortcut, ghosts).output.mean({2, 3}));
  }

 private:
  std::optional<Convolution> first_;
  std::vector<Block> blocks_;
  std::optional<GhostBatchNorm> norm_;
  std::optional<Linear> output_;
};

}  // namespace

std::unique_ptr<Model> MakeWideResNet(const ModelRequest& request) { return std::make_unique<WideResNet>(request); }

}  // namespace crescendo::nn
