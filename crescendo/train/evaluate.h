// Loss and accuracy on the test set.
#pragma once

#include "crescendo/config/options.h"
#include "crescendo/data/dataset.h"
#include "crescendo/distributed/group.h"
#include "crescendo/nn/model.h"

namespace crescendo::train {

struct Evaluation {
  double loss = 0;      // mean cross entropy
  double accuracy = 0;  // share that is right, 0 to 1
  int64_t examples = 0;
};

// Uses the running statistics of batch norm; ghost batches play no part. Examples are taken in chunks of a fixed size,
// so the same weights give the same numbers wherever this is called from. The workers of a group take chunks in turn
// (the others would only wait for worker 0), and all get the same numbers, in the same bits as one worker alone.
Evaluation Evaluate(nn::Model& model, const data::Dataset& test, at::Device device, config::Precision precision,
                    distributed::Group& group);

// The probabilities of all classes for each example: float [N, classes], on the CPU. The same chunks on one worker.
at::Tensor Probabilities(nn::Model& model, const data::Dataset& examples, at::Device device,
                         config::Precision precision);

}  // namespace crescendo::train
