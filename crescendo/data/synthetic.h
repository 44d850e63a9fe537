// Images made from a seed: for tests, for timing, and for a first run on a machine without data. They can be learned,
// but not at a glance: each class has a mosaic of random colours, and an image is its class's mosaic mixed with another
// class's (which has the smaller share) under noise. Only integers are used, so every machine makes the same bytes.
#pragma once

#include "crescendo/data/dataset.h"

namespace crescendo::data {

// data.train_examples, or 10,000.
int64_t SyntheticTrainExamples(const config::DataOptions& options);

// Colour images of data.image_size in data.classes classes that take turns. Mean and deviation are not set.
DatasetPair MakeSyntheticImages(const config::DataOptions& options, uint64_t seed);

}  // namespace crescendo::data
