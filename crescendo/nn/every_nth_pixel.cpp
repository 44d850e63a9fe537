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
    at::Tensor images = outputs_gradients[0];
    const at::Tensor& pixels = outputs_gradients[1];
    if (!pixels.defined()) return {images};
    if (!images.defined()) {
      images = at::cpu::empty(sizes_, pixels.options().memory_format(at::MemoryFormat::ChannelsLast)).zero_();
    } else if (images.use_count() > 2 || !images.is_non_overlapping_and_dense()) {
      images = images.clone();  // it is held by others than the list and this, or one number is many pixels'
    }
    Pixels(images, stride_).add_(pixels);
    return {images};
  }
  void Release() override {}

  std::vector<int64_t> sizes_;
  int64_t stride_;
};

}  // namespace

ImagesAndPixels EveryNthPixel(const at::Tensor& images, int64_t stride) {
  at::Tensor pixels;
  {
    const at::AutoDispatchBelowADInplaceOrView no_autograd;
    pixels = Pixels(images, stride).contiguous(at::MemoryFormat::ChannelsLast);
  }
  const auto outputs = WithHistory<EveryNthPixelBackward>(
      std::vector<at::Tensor>{images.variable_data(), std::move(pixels)}, images, stride);
  return {outputs[0], outputs[1]};
}

}  // namespace crescendo::nn
