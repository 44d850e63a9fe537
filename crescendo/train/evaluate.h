// Loss and accuracy on the test set.
#pragma once

#include "crescendo/config/options.h"
#include "crescendo/data/dataset.h"
#include "crescendo/nn/model.h"

namespace crescendo::train {

struct Evaluation {
  double loss = 0;      // mean cross entropy
  double accuracy = 0;  // share that is right, 0 to 1
  int64_t examples = 0;
};

// Uses the running statistics of batch norm; ghost batches play no part. Examples are taken in chunks of a fixed size,
// so the same weights give the same numbers wherever this is called from.
Evaluation Evaluate(nn::Model& model, const data::Dataset& test, at::Device device, config::Precision precision);

}  // namespace crescendo::train
