#include "crescendo/train/update_sum.h"

#include <ATen/ops/zeros.h>

#include <algorithm>

#include "crescendo/train/bucketed_sum.h"
#include "crescendo/train/reproducible_sum.h"

namespace crescendo::train {
namespace {

constexpr int64_t kNumbersPerWorker = 6;

}  // namespace

std::unique_ptr<UpdateSum> MakeUpdateSum(distributed::Group& group, nn::Model& model, const config::Options& options) {
  if (options.run.reproducible) return std::make_unique<ReproducibleSum>(group, model, options.model.norm_momentum);
  return std::make_unique<BucketedSum>(group, model, options.model.norm_momentum);
}

void Pack(const std::vector<at::Tensor>& tensors, const at::Tensor& flat) {
  int64_t begin = 0;
  for (const at::Tensor& tensor : tensors) {
    flat.narrow(0, begin, tensor.numel()).view(tensor.sizes()).copy_(tensor);
    begin += tensor.numel();
  }
}

void Unpack(const at::Tensor& flat, const std::vector<at::Tensor>& tensors) {
  int64_t begin = 0;
  for (const at::Tensor& tensor : tensors) {
    tensor.copy_(flat.narrow(0, begin, tensor.numel()).view(tensor.sizes()));
    begin += tensor.numel();
  }
}

// Zeros, but for this worker's row: sums of it are exact.
NumbersSum::NumbersSum(distributed::Group& group, const WorkerNumbers& numbers)
    : table_(at::zeros({group.size(), kNumbersPerWorker}, at::TensorOptions(at::kDouble))) {
  double* row = table_.mutable_data_ptr<double>() + group.rank() * kNumbersPerWorker;
  const double values[] = {numbers.loss_sum, numbers.stop_signal,         numbers.examples,
                           numbers.seconds,  numbers.loader_wait_seconds, numbers.group_wait_seconds};
  std::copy(std::begin(values), std::end(values), row);
  pending_ = group.BeginSum(table_);
}

Totals NumbersSum::Wait() {
  pending_->Wait();
  Totals totals;
  const double* row = table_.const_data_ptr<double>();
  for (int64_t rank = 0; rank < table_.size(0); ++rank, row += kNumbersPerWorker) {
    totals.workers.push_back({row[0], row[1], row[2], row[3], row[4], row[5]});
    totals.loss_sum += row[0];
    if (totals.stop_signal == 0) totals.stop_signal = static_cast<int>(row[1]);
  }
  return totals;
}

}  // namespace crescendo::train
