// What the trainer asks for and what it gets.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "crescendo/schedule/units.h"

namespace crescendo::data {

// Positions begin ... begin + size - 1 of training; they may span epochs.
struct ExampleRange {
  schedule::Examples begin;
  int64_t size = 0;
};

struct Batch {
  at::Tensor inputs;  // images: float [n, C, H, W] in channels_last order; a table: float [n, F]
  at::Tensor labels;  // int64 [n]
};

}  // namespace crescendo::data
