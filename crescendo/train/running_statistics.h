// The running statistics of a model, which advance with each forward pass and so have to be taken back with an update
// that is. In one piece of memory, so that this is one copy however many layers there are.
#pragma once

#include <ATen/core/Tensor.h>

#include "crescendo/nn/model.h"

namespace crescendo::train {

class RunningStatistics {
 public:
  // Moves the model's buffers, all fp32 and on one device, next to each other. There may be none.
  explicit RunningStatistics(const nn::Model& model);

  void Remember();
  void TakeBack() const;  // to what was remembered

  // The same where `failed`, a float without dimensions on their device, is 1; the host does not wait to know.
  void TakeBackWhere(const at::Tensor& failed) const;

 private:
  at::Tensor all_;  // undefined where there are none
  at::Tensor remembered_;
};

}  // namespace crescendo::train
