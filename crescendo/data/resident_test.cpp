// Batches made on the device against those of the loader's threads: on the CPU here, on a GPU where
// CRESCENDO_TEST_DEVICE=cuda.
#include "crescendo/data/resident.h"

#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include "crescendo/data/loader.h"
#include "crescendo/data/test_support.h"
#include "tests/support/test_device.h"

namespace crescendo::data {
namespace {

using schedule::Examples;
using support::TestDevice;

// More than any data set here.
constexpr int64_t kMuchMemory = int64_t{1} << 30;

Dataset Images(int64_t count, const ImageShape& shape) {
  Dataset data;
  data.name = "images";
  data.inputs = at::arange(count * shape.size(), at::kLong)
                    .mul(2'654'435'761)
                    .bitwise_right_shift(9)
                    .bitwise_and(255)
                    .to(at::kByte)
                    .view({count, shape.channels, shape.height, shape.width});
  data.labels = at::arange(count, at::kLong).remainder(10);
  data.classes = 10;
  data.mean = {0.49F, 0.48F, 0.44F};
  data.deviation = {0.24F, 0.23F, 0.26F};
  data.mean.resize(static_cast<size_t>(shape.channels));
  data.deviation.resize(static_cast<size_t>(shape.channels));
  return data;
}

Dataset Table(int64_t rows) {
  Dataset data;
  data.name = "table";
  data.inputs = at::arange(rows * 3, at::kFloat).div(7).view({rows, 3});
  data.labels = at::arange(rows, at::kLong);
  data.classes = rows;
  return data;
}

// Both take the same requests: parts of an epoch, a batch over a boundary, one of several epochs.
void ExpectSameBatches(const Dataset& data, const config::DataOptions& options) {
  Loader threads(data, options, 7);
  Loader resident(data, options, 7, {.device = TestDevice(), .memory_for_data = kMuchMemory});
  const int64_t n = data.size();
  Examples begin{0};
  for (const int64_t size : {int64_t{1}, n / 2, n, 2 * n + 3, int64_t{5}}) {
    for (Loader* loader : {&threads, &resident}) loader->Request({begin, size});
    begin += Examples{size};
    const Batch expected = threads.Take();
    const Batch got = resident.Take();
    EXPECT_EQ(got.inputs.device(), TestDevice());
    EXPECT_EQ(got.labels.device(), TestDevice());
    EXPECT_EQ(got.inputs.strides(), expected.inputs.strides());
    EXPECT_TRUE(at::equal(got.inputs.cpu(), expected.inputs)) << size << " examples of " << data.name;
    EXPECT_TRUE(at::equal(got.labels.cpu(), expected.labels)) << size << " examples of " << data.name;
  }
}

class Resident : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { at::set_num_threads(1); }
};

TEST_F(Resident, ImagesAreTheLoadersToTheBit) {
  for (const ImageShape shape : {ImageShape{3, 32, 32}, ImageShape{1, 28, 28}, ImageShape{3, 5, 7}}) {
    for (const config::Padding padding : {config::Padding::kReflect, config::Padding::kZero}) {
      for (const bool flip : {true, false}) {
        config::DataOptions options;
        options.pad = 4;
        options.padding = padding;
        options.flip = flip;
        ExpectSameBatches(Images(83, shape), options);
      }
    }
  }
}

TEST_F(Resident, RowsOfATableAreTheLoaders) { ExpectSameBatches(Table(50), {}); }

TEST_F(Resident, StaysOnTheHostWhereItDoesNotFit) {
  if (TestDevice().is_cpu()) GTEST_SKIP() << "needs a GPU: CRESCENDO_TEST_DEVICE=cuda";
  const Dataset data = Images(40, {3, 8, 8});
  for (const int64_t missing_bytes : {0, 1}) {
    const int64_t memory = ResidentDataset::BytesOf(data) - missing_bytes;
    Loader loader(data, {}, 7, {.device = TestDevice(), .memory_for_data = memory});
    loader.Request({Examples{0}, 10});
    const Batch batch = loader.Take();
    EXPECT_EQ(batch.inputs.device().is_cuda(), missing_bytes == 0);
    if (missing_bytes > 0) {
      EXPECT_TRUE(batch.inputs.is_pinned());
      EXPECT_TRUE(batch.labels.is_pinned());
    }
  }
}

}  // namespace
}  // namespace crescendo::data
