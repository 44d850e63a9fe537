#include "crescendo/nn/loss.h"

#include <ATen/core/Reduction.h>
#include <ATen/ops/_log_softmax_cpu_dispatch.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty_cpu_dispatch.h>
#include <ATen/ops/exp_cpu_dispatch.h>

#include <utility>

#include "crescendo/nn/lean_node.h"

namespace crescendo::nn {
namespace {

// With p the softmax of the logits and g the gradient of the loss: g (p - 1 at the label, else g p).
class CrossEntropyBackward : public LeanNode {
 public:
  CrossEntropyBackward(const at::Tensor& logits, at::Tensor log_probabilities, at::Tensor labels)
      : LeanNode(logits), log_probabilities_(std::move(log_probabilities)), labels_(std::move(labels)) {}

 private:
  std::vector<at::Tensor> Gradients(const torch::autograd::variable_list& outputs_gradients) override {
    const at::Tensor& loss_gradient = outputs_gradients[0];
    const float scale = loss_gradient.item<float>();
    at::Tensor gradient = at::cpu::exp(log_probabilities_);
    const int64_t classes = gradient.size(1);
    auto* value = gradient.mutable_data_ptr<float>();
    const auto* label = labels_.const_data_ptr<int64_t>();
    for (int64_t i = 0; i < gradient.size(0); ++i, value += classes) {
      for (int64_t c = 0; c < classes; ++c) value[c] *= scale;
      value[label[i]] -= scale;
    }
    return {gradient};
  }
  void Release() override {
    log_probabilities_.reset();
    labels_.reset();
  }

  at::Tensor log_probabilities_;  // [n, classes]
  at::Tensor labels_;
};

}  // namespace

at::Tensor SummedCrossEntropy(const at::Tensor& logits, const at::Tensor& labels) {
  const at::Tensor in_fp32 = logits.to(at::kFloat);
  if (!logits.is_cpu()) return at::cross_entropy_loss(in_fp32, labels, /*weight=*/{}, at::Reduction::Sum);
  at::Tensor loss;
  at::Tensor log_probabilities;
  {
    const at::AutoDispatchBelowADInplaceOrView no_autograd;
    log_probabilities = at::cpu::_log_softmax(in_fp32, 1, /*half_to_float=*/false);
    loss = at::cpu::empty({}, in_fp32.options());
    const int64_t classes = logits.size(1);
    const auto* value = log_probabilities.const_data_ptr<float>();
    const auto* label = labels.const_data_ptr<int64_t>();
    double sum = 0;
    for (int64_t i = 0; i < logits.size(0); ++i, value += classes) {
      CRESCENDO_ASSERT(label[i] >= 0 && label[i] < classes, "labels are classes");
      sum -= value[label[i]];
    }
    *loss.mutable_data_ptr<float>() = static_cast<float>(sum);
  }
  return WithHistory<CrossEntropyBackward>(std::move(loss), in_fp32, log_probabilities, labels);
}

}  // namespace crescendo::nn
