#include "crescendo/data/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "crescendo/base/error.h"
#include "crescendo/data/csv.h"
#include "crescendo/data/image_files.h"
#include "crescendo/data/synthetic.h"

namespace crescendo::data {
namespace {

using config::DatasetName;

// Sets mean and deviation of both sets to those of the train set's channels.
void MeasureChannels(DatasetPair& data) {
  const int64_t channels = data.train.inputs.size(1);
  const int64_t plane = data.train.inputs.size(2) * data.train.inputs.size(3);
  const uint8_t* pixels = data.train.inputs.const_data_ptr<uint8_t>();
  const double count = static_cast<double>(data.train.size() * plane);
  for (int64_t channel = 0; channel < channels; ++channel) {
    uint64_t sum = 0;
    uint64_t sum_of_squares = 0;
    for (int64_t example = 0; example < data.train.size(); ++example) {
      const uint8_t* row = pixels + (example * channels + channel) * plane;
      uint32_t plane_sum = 0;  // 32 bits, for a loop that vectorises: they hold 66,000 squares
      uint32_t plane_squares = 0;
      for (int64_t i = 0; i < plane; ++i) {
        plane_sum += row[i];
        plane_squares += uint32_t{row[i]} * row[i];
        if ((i & 0xffff) == 0xffff) {
          sum += plane_sum;
          sum_of_squares += plane_squares;
          plane_sum = plane_squares = 0;
        }
      }
      sum += plane_sum;
      sum_of_squares += plane_squares;
    }
    const double mean = static_cast<double>(sum) / count;
    const double deviation = std::sqrt(std::max(0.0, static_cast<double>(sum_of_squares) / count - mean * mean));
    data.train.mean.push_back(static_cast<float>(mean / 255));
    data.train.deviation.push_back(deviation > 0 ? static_cast<float>(deviation / 255)
                                                 : 1);  // a constant channel becomes 0
  }
  data.test.mean = data.train.mean;
  data.test.deviation = data.train.deviation;
}

}  // namespace

int64_t ExamplesToUse(int64_t wanted, int64_t available, const char* key, const std::string& source) {
  if (wanted > available) {
    throw UserError(fmt::format("{} = {}: {} has {} examples; give at most {}, or 0 for all", key, wanted, source,
                                available, available));
  }
  return wanted == 0 ? available : wanted;
}

void RequireFetched(const std::filesystem::path& path, const config::DataOptions& options) {
  if (std::filesystem::exists(path)) return;
  throw UserError(
      fmt::format("there is no {}; `crescendo fetch {} --to {}` gets the data set, or say where it is: data.folder",
                  path.string(), NameOf(options.name), options.folder));
}

DatasetPair LoadDatasets(const config::DataOptions& options, uint64_t seed) {
  DatasetPair data;
  switch (options.name) {
    case DatasetName::kCifar10:
    case DatasetName::kCifar100:
      data = LoadCifar(options);
      break;
    case DatasetName::kMnist:
    case DatasetName::kFashionMnist:
      data = LoadIdx(options);
      break;
    case DatasetName::kCsv:
      return LoadTable(options);
    case DatasetName::kSynthetic:
      data = MakeSyntheticImages(options, seed);
      break;
  }
  MeasureChannels(data);
  return data;
}

ImageCounts CountImages(const config::DataOptions& options) {
  const std::string name(NameOf(options.name));
  const bool is_cifar = options.name == DatasetName::kCifar10 || options.name == DatasetName::kCifar100;
  return {.train = ExamplesToUse(options.train_examples, is_cifar ? 50'000 : 60'000, "data.train_examples", name),
          .test = ExamplesToUse(options.test_examples, 10'000, "data.test_examples", name + "'s test set")};
}

int64_t CountTrainExamples(const config::DataOptions& options) {
  switch (options.name) {
    case DatasetName::kCifar10:
    case DatasetName::kCifar100:
    case DatasetName::kMnist:
    case DatasetName::kFashionMnist:
      return CountImages(options).train;
    case DatasetName::kCsv:
      return CountTrainRows(options);
    case DatasetName::kSynthetic:
      return SyntheticTrainExamples(options);
  }
  CRESCENDO_ASSERT(false, "a data set without a size");
}

}  // namespace crescendo::data
