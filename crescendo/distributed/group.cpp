#include "crescendo/distributed/group.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <algorithm>

namespace crescendo::distributed {

int64_t Group::Min(int64_t number) {
  const at::Tensor value = at::full({1}, -number, at::TensorOptions(at::kLong));
  Max(value);
  return -value.item<int64_t>();
}

std::string Group::BroadcastText(const std::string& text) {
  const at::Tensor length = at::full({1}, static_cast<int64_t>(text.size()), at::TensorOptions(at::kLong));
  Broadcast(length);
  if (length.item<int64_t>() == 0) return "";
  const at::Tensor bytes = at::empty({length.item<int64_t>()}, at::TensorOptions(at::kByte));
  auto* data = reinterpret_cast<char*>(bytes.mutable_data_ptr<uint8_t>());
  if (rank() == 0) std::copy(text.begin(), text.end(), data);
  Broadcast(bytes);
  return {data, static_cast<size_t>(bytes.numel())};
}

void Group::Barrier() { (void)Min(0); }

}  // namespace crescendo::distributed
