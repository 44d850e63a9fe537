#include "crescendo/train/running_statistics.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/where.h>

#include "crescendo/train/flat_tensors.h"
#include "crescendo/train/model_tensors.h"

namespace crescendo::train {

RunningStatistics::RunningStatistics(const nn::Model& model) {
  const at::NoGradGuard no_gradients;
  const std::vector<at::Tensor> buffers = ValuesOf(model.buffers());
  if (buffers.empty()) return;
  const FlatTensors flat = ZerosLike(buffers);
  for (size_t i = 0; i < buffers.size(); ++i) {
    flat.views[i].copy_(buffers[i]);
    buffers[i].set_data(flat.views[i]);  // the layers hold handles to the buffers: what is behind them is moved
  }
  all_ = flat.memory;
  remembered_ = all_.clone();
}

void RunningStatistics::Remember() {
  const at::NoGradGuard no_gradients;
  if (all_.defined()) remembered_.copy_(all_);
}

void RunningStatistics::TakeBack() const {
  const at::NoGradGuard no_gradients;
  if (all_.defined()) all_.copy_(remembered_);
}

void RunningStatistics::TakeBackWhere(const at::Tensor& failed) const {
  const at::NoGradGuard no_gradients;
  if (!all_.defined()) return;
  at::Tensor all = all_;
  at::where_out(all, failed.eq(1), remembered_, all_);
}

}  // namespace crescendo::train
