// Data sets: all examples in memory, as they are stored. What training sees of them is made by the loader (loader.h).
//
//   DatasetPair data = LoadDatasets(options.data, options.run.seed);
//   data.train.inputs;  // uint8 [50000, 3, 32, 32]
//
// Images stay bytes, so that CIFAR-10 takes 180 MB and not 740; they become normalised floats one micro-batch at a
// time. Tables are floats already.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "crescendo/config/options.h"
#include "crescendo/data/table_encoding.h"

namespace crescendo::data {

struct Dataset {
  std::string name;
  at::Tensor inputs;  // images: uint8 [N, C, H, W]; a table: float [N, F], each column ready to use
  at::Tensor labels;  // int64 [N], each in [0, classes)
  int64_t classes = 0;

  // Images are normalised by (pixel / 255 - mean) / deviation, per channel. Both are the train set's, also in the test
  // set: of the examples that are trained on. Empty for tables.
  std::vector<float> mean;
  std::vector<float> deviation;

  int64_t size() const { return inputs.size(0); }
  bool holds_images() const { return inputs.dim() == 4; }
  std::vector<int64_t> ExampleShape() const { return inputs.sizes().slice(1).vec(); }  // [C, H, W] or [F]
};

struct DatasetPair {
  Dataset train;
  Dataset test;
  std::optional<TableEncoding> table = {};  // of a table, what made its rows inputs
  std::vector<std::string> warnings = {};   // of what looks like a mistake and may be meant
};

// Reads or makes what `options` names. `seed` matters to synthetic data only. UserError, with the file and the place in
// it, for files that are missing or not of their format, and for more examples than there are.
DatasetPair LoadDatasets(const config::DataOptions& options, uint64_t seed);

// The size of the train set that LoadDatasets would give, without loading it (of a table, the rows are counted). Only
// tables are looked at, so for images the files need not be there. UserError also for more test examples than there
// are.
int64_t CountTrainExamples(const config::DataOptions& options);

// How many examples to use of `available`: the first `wanted`, or all for 0. UserError, which names the option `key`,
// where there are not so many. `source` says of what.
int64_t ExamplesToUse(int64_t wanted, int64_t available, const char* key, const std::string& source);

}  // namespace crescendo::data
