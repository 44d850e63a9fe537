#include "crescendo/data/resident.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>
#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <optional>

#include "crescendo/base/error.h"
#include "crescendo/data/image_kernel.h"

namespace crescendo::data {

using schedule::Examples;

ResidentDataset::ResidentDataset(const Dataset& train, const AugmentOptions& augment, uint64_t seed, at::Device device)
    : device_(device),
      inputs_(train.inputs.contiguous().to(device)),
      labels_(train.labels.to(device)),
      augment_(augment),
      seed_(seed) {
  if (train.holds_images()) normalisation_.emplace(train.mean, train.deviation);
}

int64_t ResidentDataset::BytesOf(const Dataset& train) {
  const int64_t order = train.size() * static_cast<int64_t>(sizeof(int64_t));
  return static_cast<int64_t>(train.inputs.nbytes() + train.labels.nbytes()) + order;
}

Batch ResidentDataset::Make(ExampleRange range, const ExampleOrder& order) {
  const int64_t size = inputs_.size(0);
  const int64_t begin = range.begin.value();
  const int64_t end = begin + range.size;
  const int64_t first_epoch = order.EpochAt(range.begin);
  std::vector<at::Tensor> pieces;  // the examples, epoch by epoch
  for (int64_t position = begin; position < end;) {
    const int64_t epoch = order.EpochAt(Examples{position});
    const int64_t count = std::min(end, (epoch + 1) * size) - position;
    pieces.push_back(OrderOf(epoch, order).narrow(0, position - epoch * size, count));
    position += count;
  }
  const at::Tensor examples = pieces.size() == 1 ? pieces.front() : at::cat(pieces);
  return {.inputs = normalisation_ ? MakeImages(pieces, first_epoch) : at::index_select(inputs_, 0, examples),
          .labels = at::index_select(labels_, 0, examples)};
}

at::Tensor ResidentDataset::MakeImages(const std::vector<at::Tensor>& pieces, int64_t first_epoch) const {
  int64_t size = 0;
  for (const at::Tensor& piece : pieces) size += piece.size(0);
  ImageJob job;
  job.stored = inputs_.const_data_ptr<uint8_t>();
  job.shape = {inputs_.size(1), inputs_.size(2), inputs_.size(3)};
  job.augment = augment_;
  CRESCENDO_ASSERT(normalisation_->scale.size() <= job.scale.size(), "images have at most three channels");
  std::copy(normalisation_->scale.begin(), normalisation_->scale.end(), job.scale.begin());
  std::copy(normalisation_->shift.begin(), normalisation_->shift.end(), job.shift.begin());
  at::Tensor images =
      at::empty({size, job.shape.channels, job.shape.height, job.shape.width},
                at::TensorOptions(at::kFloat).device(device_).memory_format(at::MemoryFormat::ChannelsLast));
  job.result = images.mutable_data_ptr<float>();
  const c10::DeviceGuard guard(device_);
  int64_t epoch = first_epoch;
  for (const at::Tensor& piece : pieces) {
    job.examples = piece.const_data_ptr<int64_t>();
    job.count = piece.size(0);
    job.key = RandomKey(seed_, Stream::kAugmentation, static_cast<uint64_t>(epoch++));
#ifdef CRESCENDO_CUDA
    if (device_.is_cuda()) WriteImagesOnGpu(job);
#endif
    if (device_.is_cpu()) WriteImages(job);
    job.result += job.count * job.shape.size();
  }
  return images;
}

at::Tensor ResidentDataset::OrderOf(int64_t epoch, const ExampleOrder& order) {
  if (epoch != epoch_) {
    const std::shared_ptr<const ExampleOrder::Permutation> permutation = order.Epoch(epoch);
    const at::Tensor host = at::empty({inputs_.size(0)}, at::TensorOptions(at::kLong).pinned_memory(device_.is_cuda()));
    std::copy(permutation->begin(), permutation->end(), host.mutable_data_ptr<int64_t>());
    epoch_order_ = host.to(device_, /*non_blocking=*/true);
    epoch_ = epoch;
  }
  return epoch_order_;
}

}  // namespace crescendo::data
