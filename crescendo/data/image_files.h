// The public image data sets, read from the files as their authors publish them, in the places where `crescendo fetch`
// puts them.
//
//   FOLDER/cifar-10-batches-bin/data_batch_1.bin ... data_batch_5.bin, test_batch.bin
//   FOLDER/cifar-100-binary/train.bin, test.bin
//   FOLDER/mnist/train-images-idx3-ubyte.gz ... (four files, as they are or unpacked), FOLDER/fashion-mnist/ likewise
#pragma once

#include <filesystem>

#include "crescendo/data/dataset.h"

namespace crescendo::data {

// CIFAR-10 and CIFAR-100 (Krizhevsky 2009), binary version: records of the label, for CIFAR-100 the coarse one before
// it, and 3 x 32 x 32 bytes. UserError, with the byte offset, for files of another size and labels out of range.
DatasetPair LoadCifar(const config::DataOptions& options);

// MNIST (LeCun et al. 1998) and Fashion-MNIST (Xiao et al. 2017): IDX files. UserError, with the byte offset in the
// unpacked file, for what is not the IDX file it should be and for labels out of range.
DatasetPair LoadIdx(const config::DataOptions& options);

// How many examples of the data set are to be used, of all that there are. UserError where there are not so many.
struct ImageCounts {
  int64_t train;
  int64_t test;
};
ImageCounts CountImages(const config::DataOptions& options);

// UserError, which says how to get the data set, where `path` does not exist.
void RequireFetched(const std::filesystem::path& path, const config::DataOptions& options);

}  // namespace crescendo::data
