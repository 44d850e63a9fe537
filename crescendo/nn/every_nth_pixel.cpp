#include "crescendo/nn/every_nth_pixel.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty_cpu_dispatch.h>

#include <utility>
#include <vector>

#include "crescendo/nn/lean_node.h"

namespace crescendo::nn {
namespace {

at::Tensor Pixels(const at::Tensor& images, int64_t stride) {
  return images.slice(2, 0, std::nullopt, stride).slice(3, 0, std::nullopt, stride);
}

class EveryNthPixelBackward : public LeanNode {
 public:
  EveryNthPixelBackward(const at::Tensor& images, int64_t stride)
      : LeanNode(images), sizes_(images.sizes().vec()), stride_(stride) {}

 private:
  std::vector<at::Tensor> Gradients(const torch::autograd::variable_list& outputs_gradients) override {
    const at::Tensor& gradient = outputs_gradients[0];
    const at::Tensor images_gradient =
        at::cpu::empty(sizes_, gradient.options().memory_format(at::MemoryFormat::ChannelsLast)).zero_();
    Pixels(images_gradient, stride_).copy_(gradient);
    return {images_gradient};
  }
  void Release() override {}

  std::vector<int64_t> sizes_;
  int64_t stride_;
};

}  // namespace

at::Tensor EveryNthPixel(const at::Tensor& images, int64_t stride) {
  at::Tensor pixels;
  {
    const at::AutoDispatchBelowADInplaceOrView no_autograd;
    pixels = Pixels(images, stride).contiguous(at::MemoryFormat::ChannelsLast);
  }
  return WithHistory<EveryNthPixelBackward>(std::move(pixels), images, stride);
}

}  // namespace crescendo::nn
