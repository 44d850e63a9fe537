#include "crescendo/data/image_files.h"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <numeric>

#include "crescendo/data/test_support.h"

namespace crescendo::data {
namespace {

using config::DatasetName;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

config::DataOptions Options(DatasetName name, const std::filesystem::path& folder) {
  config::DataOptions options;
  options.name = name;
  options.folder = folder.string();
  return options;
}

std::string ErrorOf(const config::DataOptions& options) {
  return UserErrorOf([&] { LoadDatasets(options, 1); });
}

// Zeros, on a file system with holes without cost.
void WriteZeros(const std::filesystem::path& path, uintmax_t size) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path).close();
  std::filesystem::resize_file(path, size);
}

void Overwrite(const std::filesystem::path& path, int64_t offset, const std::string& bytes) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(offset);
  file << bytes;
}

std::vector<int64_t> CountPerClass(const Dataset& data) {
  std::vector<int64_t> counts(static_cast<size_t>(data.classes));
  for (int64_t label : Values<int64_t>(data.labels)) ++counts[label];
  return counts;
}

TEST(Cifar, Cifar10IsWhatItsAuthorsPublished) {
  at::set_num_threads(1);
  if (!std::filesystem::exists(DataFolder() / "cifar-10-batches-bin")) GTEST_SKIP() << "crescendo fetch cifar10";
  config::DataOptions options = Options(DatasetName::kCifar10, DataFolder());
  const DatasetPair data = LoadDatasets(options, 1);
  EXPECT_THAT(data.train.inputs.sizes().vec(), ElementsAre(50'000, 3, 32, 32));
  EXPECT_THAT(data.test.inputs.sizes().vec(), ElementsAre(10'000, 3, 32, 32));
  EXPECT_EQ(CountTrainExamples(options), 50'000);
  EXPECT_THAT(CountPerClass(data.train), Each(5'000));
  EXPECT_THAT(CountPerClass(data.test), Each(1'000));
  const std::vector<float> mean = {0.49140f, 0.48216f, 0.44653f};
  const std::vector<float> deviation = {0.24703f, 0.24348f, 0.26159f};
  for (size_t channel = 0; channel < 3; ++channel) {
    EXPECT_NEAR(data.train.mean[channel], mean[channel], 1e-5);
    EXPECT_NEAR(data.train.deviation[channel], deviation[channel], 1e-5);
  }
  const uint8_t* pixels = data.test.inputs.const_data_ptr<uint8_t>();
  EXPECT_THAT(std::vector<uint8_t>(pixels, pixels + 3), ElementsAre(158, 159, 165));

  options.train_examples = 10'001;  // one more than the first file holds
  const DatasetPair part = LoadDatasets(options, 1);
  EXPECT_EQ(Values<uint8_t>(part.train.inputs), Values<uint8_t>(data.train.inputs.narrow(0, 0, 10'001)));
}

TEST(Cifar, Cifar100TakesTheFineLabel) {
  at::set_num_threads(1);
  const TemporaryFolder folder;
  const auto train = folder.path() / "cifar-100-binary/train.bin";
  WriteZeros(train, uintmax_t{50'000} * 3074);
  WriteZeros(folder.path() / "cifar-100-binary/test.bin", uintmax_t{10'000} * 3074);
  Overwrite(train, 3074, std::string("\x13\x63\xff\x01", 4));  // record 1: coarse 19, fine 99, pixels 255 1
  config::DataOptions options = Options(DatasetName::kCifar100, folder.path());
  const DatasetPair data = LoadDatasets(options, 1);
  EXPECT_EQ(data.train.classes, 100);
  EXPECT_THAT(Values<int64_t>(data.train.labels.narrow(0, 0, 3)), ElementsAre(0, 99, 0));
  EXPECT_THAT(Values<uint8_t>(data.train.inputs[1][0][0].narrow(0, 0, 3)), ElementsAre(255, 1, 0));
  EXPECT_EQ(data.train.deviation[1], 1) << "a channel that never changes";
  Overwrite(train, 3074, std::string("\x13\x64", 2));
  EXPECT_THAT(ErrorOf(options),
              HasSubstr("train.bin, byte 3075: the label of record 1 is 100, but there are 100 classes"));
}

TEST(Cifar, FilesThatAreMissingOrCutSayWhichAndWhatToDo) {
  const TemporaryFolder folder;
  config::DataOptions options = Options(DatasetName::kCifar10, folder.path());
  EXPECT_THAT(ErrorOf(options), AllOf(HasSubstr("data_batch_1.bin"), HasSubstr("crescendo fetch cifar10 --to")));
  EXPECT_EQ(CountTrainExamples(options), 50'000) << "a plan can be made before the data are there";
  WriteZeros(folder.path() / "cifar-10-batches-bin/data_batch_1.bin", 3073 * 7 + 5);
  EXPECT_THAT(ErrorOf(options), HasSubstr("data_batch_1.bin ends at byte 21516, in record 7"));
  options.train_examples = 50'001;
  EXPECT_THAT(ErrorOf(options), HasSubstr("data.train_examples = 50001: cifar10 has 50000 examples"));
  options.train_examples = 0;
  options.test_examples = 10'001;
  EXPECT_THAT(UserErrorOf([&] { CountTrainExamples(options); }),
              HasSubstr("data.test_examples = 10001: cifar10's test set has 10000 examples"));
}

TEST(Idx, MnistAndFashionMnistAreWhatTheirAuthorsPublished) {
  at::set_num_threads(1);
  struct Expected {
    DatasetName name;
    const char* folder;
    double mean;
    double deviation;
  };
  for (const Expected& expected : {Expected{DatasetName::kMnist, "mnist", 0.1307, 0.3081},
                                   Expected{DatasetName::kFashionMnist, "fashion-mnist", 0.2860, 0.3530}}) {
    if (!std::filesystem::exists(DataFolder() / expected.folder)) {
      GTEST_SKIP() << "crescendo fetch " << NameOf(expected.name);
    }
    const DatasetPair data = LoadDatasets(Options(expected.name, DataFolder()), 1);
    EXPECT_THAT(data.train.inputs.sizes().vec(), ElementsAre(60'000, 1, 28, 28));
    EXPECT_THAT(data.test.inputs.sizes().vec(), ElementsAre(10'000, 1, 28, 28));
    EXPECT_NEAR(data.train.mean[0], expected.mean, 5e-5);
    EXPECT_NEAR(data.train.deviation[0], expected.deviation, 5e-5);
    if (expected.name == DatasetName::kMnist) {
      EXPECT_THAT(Values<int64_t>(data.train.labels.narrow(0, 0, 5)), ElementsAre(5, 0, 4, 1, 9));
      EXPECT_THAT(Values<int64_t>(data.test.labels.narrow(0, 0, 5)), ElementsAre(7, 2, 1, 0, 4));
    }
  }
}

TEST(Idx, FilesThatAreWrongSayWhere) {
  const TemporaryFolder folder;
  const config::DataOptions options = Options(DatasetName::kMnist, folder.path());
  const auto images = folder.path() / "mnist/train-images-idx3-ubyte";
  const auto labels = folder.path() / "mnist/train-labels-idx1-ubyte";
  EXPECT_THAT(ErrorOf(options), AllOf(HasSubstr("train-labels-idx1-ubyte.gz"), HasSubstr("crescendo fetch mnist")));
  WriteZeros(labels, 8 + 60'000);
  Overwrite(labels, 0, std::string("\0\0\x08\x01\0\0\xea\x60", 8));
  WriteZeros(images, 10);
  EXPECT_THAT(ErrorOf(options), HasSubstr("train-images-idx3-ubyte ends at byte 10, in its header of 16 bytes"));
  WriteZeros(images, 16 + 60'000 * 784);
  EXPECT_THAT(ErrorOf(options), HasSubstr("train-images-idx3-ubyte, byte 0: 0x00000000 where"));
  Overwrite(images, 0, std::string("\0\0\x08\x03\0\0\xea\x60\0\0\0\x1c\0\0\0\x1d", 16));
  EXPECT_THAT(ErrorOf(options), HasSubstr("byte 12: size 29 where 28 is expected"));
  Overwrite(images, 15, "\x1c");
  Overwrite(labels, 8 + 41, "\x0a");
  EXPECT_THAT(ErrorOf(options), HasSubstr("train-labels-idx1-ubyte, byte 49: the label of image 41 is 10"));
  std::filesystem::resize_file(images, 999);
  EXPECT_THAT(ErrorOf(options), HasSubstr("ends at byte 999 and should at 47040016"));
}

// A terabyte would not fit into memory, and a few kilobytes can be packed from any number of zeros.
TEST(ImageFiles, LargerThanTheyShouldBeAreNotReadIntoMemory) {
  const TemporaryFolder folder;
  const uintmax_t terabyte = uintmax_t{1} << 40;
  WriteZeros(folder.path() / "cifar-10-batches-bin/data_batch_1.bin", terabyte);
  EXPECT_THAT(ErrorOf(Options(DatasetName::kCifar10, folder.path())), HasSubstr("ends at byte 1099511627776, in"));

  const config::DataOptions options = Options(DatasetName::kMnist, folder.path());
  const auto images = folder.path() / "mnist/train-images-idx3-ubyte";
  WriteZeros(folder.path() / "mnist/train-labels-idx1-ubyte", 8 + 60'000);
  WriteZeros(images, terabyte);
  EXPECT_THAT(ErrorOf(options), HasSubstr("ends at byte 1099511627776 and should at 47040016"));
  std::filesystem::remove(images);
  gzFile packed = gzopen((images.string() + ".gz").c_str(), "wb1");
  const std::string zeros(size_t{1} << 20, '\0');
  for (int i = 0; i < 46; ++i) ASSERT_EQ(gzwrite(packed, zeros.data(), 1 << 20), 1 << 20);
  ASSERT_EQ(gzclose(packed), Z_OK);
  EXPECT_THAT(ErrorOf(options), HasSubstr("ubyte.gz cannot be unpacked: it holds more than the 47040016 bytes that it "
                                          "should"));
}

}  // namespace
}  // namespace crescendo::data
