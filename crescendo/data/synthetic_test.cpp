#include "crescendo/data/synthetic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crescendo/data/test_support.h"

namespace crescendo::data {
namespace {

using ::testing::ElementsAre;

config::DataOptions Synthetic(int64_t train_examples, int64_t test_examples) {
  config::DataOptions options;
  options.name = config::DatasetName::kSynthetic;
  options.train_examples = train_examples;
  options.test_examples = test_examples;
  return options;
}

TEST(Synthetic, HasTheShapeAskedFor) {
  config::DataOptions options = Synthetic(7, 5);
  options.image_size = 9;
  options.classes = 3;
  const DatasetPair data = LoadDatasets(options, 1);
  EXPECT_THAT(data.train.inputs.sizes().vec(), ElementsAre(7, 3, 9, 9));
  EXPECT_THAT(data.test.inputs.sizes().vec(), ElementsAre(5, 3, 9, 9));
  EXPECT_THAT(Values<int64_t>(data.train.labels), ElementsAre(0, 1, 2, 0, 1, 2, 0));
  EXPECT_EQ(CountTrainExamples(options), 7);
  EXPECT_EQ(CountTrainExamples(Synthetic(0, 0)), 10'000);
}

TEST(Synthetic, IsAFunctionOfTheSeedAndNotOfHowManyAreMade) {
  const DatasetPair few = LoadDatasets(Synthetic(4, 4), 1);
  const DatasetPair many = LoadDatasets(Synthetic(8, 4), 1);
  EXPECT_EQ(Values<uint8_t>(few.train.inputs), Values<uint8_t>(many.train.inputs.narrow(0, 0, 4)));
  EXPECT_EQ(Values<uint8_t>(few.test.inputs), Values<uint8_t>(many.test.inputs));
  EXPECT_NE(Values<uint8_t>(few.train.inputs), Values<uint8_t>(few.test.inputs));
  EXPECT_NE(Values<uint8_t>(few.train.inputs), Values<uint8_t>(LoadDatasets(Synthetic(4, 4), 2).train.inputs));
}

TEST(Synthetic, MeanAndDeviationAreThoseOfTheTrainPixels) {
  const DatasetPair data = LoadDatasets(Synthetic(50, 10), 1);
  for (int64_t channel = 0; channel < 3; ++channel) {
    double sum = 0;
    double squares = 0;
    const std::vector<uint8_t> pixels = Values<uint8_t>(data.train.inputs.select(1, channel));
    for (uint8_t pixel : pixels) sum += pixel / 255.0;
    const double mean = sum / static_cast<double>(pixels.size());
    for (uint8_t pixel : pixels) squares += (pixel / 255.0 - mean) * (pixel / 255.0 - mean);
    EXPECT_NEAR(data.train.mean[channel], mean, 1e-6);
    EXPECT_NEAR(data.train.deviation[channel], std::sqrt(squares / static_cast<double>(pixels.size())), 1e-6);
  }
  EXPECT_EQ(data.test.mean, data.train.mean);
}

// Nearest class mean, trained on 1,000 images, tested on 500: well above chance (10 %), and not perfect.
TEST(Synthetic, CanBeLearned) {
  const DatasetPair data = LoadDatasets(Synthetic(1'000, 500), 1);
  constexpr int64_t kPixels = 3 * 32 * 32;
  std::vector<std::vector<double>> centres(10, std::vector<double>(kPixels));
  const uint8_t* train = data.train.inputs.const_data_ptr<uint8_t>();
  for (int64_t i = 0; i < 1'000; ++i) {
    for (int64_t p = 0; p < kPixels; ++p) centres[i % 10][p] += train[i * kPixels + p] / 100.0;
  }
  int64_t right = 0;
  const uint8_t* test = data.test.inputs.const_data_ptr<uint8_t>();
  for (int64_t i = 0; i < 500; ++i) {
    int64_t nearest = 0;
    double smallest = 1e300;
    for (int64_t label = 0; label < 10; ++label) {
      double distance = 0;
      for (int64_t p = 0; p < kPixels; ++p) {
        const double difference = centres[label][p] - test[i * kPixels + p];
        distance += difference * difference;
      }
      if (distance < smallest) {
        smallest = distance;
        nearest = label;
      }
    }
    right += nearest == i % 10;
  }
  EXPECT_GT(right, 350);
  EXPECT_LT(right, 500);
}

}  // namespace
}  // namespace crescendo::data
