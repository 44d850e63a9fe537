// A train set that stays on the device that trains, as the bytes it is stored in; batches are made there. Nothing but
// the order of an epoch (8 bytes an example) crosses to the device after the start.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "crescendo/data/augment.h"
#include "crescendo/data/batch.h"
#include "crescendo/data/dataset.h"
#include "crescendo/data/example_order.h"

namespace crescendo::data {

class ResidentDataset {
 public:
  // Copies `train` to `device`. The batches are those of a Loader with the same options and seed, to the bit.
  ResidentDataset(const Dataset& train, const AugmentOptions& augment, uint64_t seed, at::Device device);

  // What the constructor takes of the device's memory, for good.
  static int64_t BytesOf(const Dataset& train);

  // On a GPU the work is queued on the current stream. For one thread.
  Batch Make(ExampleRange range, const ExampleOrder& order);

 private:
  at::Tensor OrderOf(int64_t epoch, const ExampleOrder& order);
  at::Tensor MakeImages(const std::vector<at::Tensor>& pieces, int64_t first_epoch) const;

  at::Device device_;
  at::Tensor inputs_;
  at::Tensor labels_;
  AugmentOptions augment_;
  std::optional<Normalisation> normalisation_;  // of images
  uint64_t seed_;

  int64_t epoch_ = -1;
  at::Tensor epoch_order_;  // int64 [N], on the device
};

}  // namespace crescendo::data
