#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "crescendo/data/image_files.h"

namespace crescendo::data {
namespace {

constexpr int64_t kChannels = 3;
constexpr int64_t kSide = 32;
constexpr int64_t kPixels = kChannels * kSide * kSide;

// A record is its labels, of which one is used, and the pixels.
struct Format {
  int64_t label_byte;
  int64_t label_bytes;
  int64_t classes;
  std::filesystem::path folder;
  std::vector<std::string> train_files;
  std::string test_file;

  int64_t record_size() const { return label_bytes + kPixels; }
};

Format FormatOf(config::DatasetName name, const std::filesystem::path& folder) {
  if (name == config::DatasetName::kCifar10) {
    return {.label_byte = 0,
            .label_bytes = 1,
            .classes = 10,
            .folder = folder / "cifar-10-batches-bin",
            .train_files = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
                            "data_batch_5.bin"},
            .test_file = "test_batch.bin"};
  }
  return {.label_byte = 1,
          .label_bytes = 2,
          .classes = 100,
          .folder = folder / "cifar-100-binary",
          .train_files = {"train.bin"},
          .test_file = "test.bin"};
}

// Reads the first `examples` of the records that the files hold, one file after the other.
Dataset ReadRecords(const Format& format, const std::vector<std::string>& files, int64_t records_per_file,
                    int64_t examples, const config::DataOptions& options) {
  Dataset data;
  data.name = NameOf(options.name);
  data.classes = format.classes;
  data.inputs = at::empty({examples, kChannels, kSide, kSide}, at::kByte);
  data.labels = at::empty({examples}, at::kLong);
  uint8_t* pixels = data.inputs.mutable_data_ptr<uint8_t>();
  int64_t* labels = data.labels.mutable_data_ptr<int64_t>();
  int64_t left = examples;
  for (const std::string& name : files) {
    if (left == 0) break;
    const std::filesystem::path path = format.folder / name;
    RequireFetched(path, options);
    std::error_code error;
    const auto on_disk = static_cast<int64_t>(std::filesystem::file_size(path, error));
    // What is no file, such as a folder, has no size before it is read; for what is one, no memory is taken in vain.
    const int64_t size = error ? static_cast<int64_t>(ReadFile(path).size()) : on_disk;
    if (size != records_per_file * format.record_size()) {
      throw UserError(fmt::format("{} ends at byte {}, in record {}; {} records of {} bytes make {}", path.string(),
                                  size, size / format.record_size(), records_per_file, format.record_size(),
                                  records_per_file * format.record_size()));
    }
    const std::string bytes = ReadFile(path);
    if (static_cast<int64_t>(bytes.size()) != size) throw RunError(path.string() + " was changed while it was read");
    const int64_t taken = std::min(left, records_per_file);
    for (int64_t record = 0; record < taken; ++record, pixels += kPixels) {
      const int64_t begin = record * format.record_size();
      const auto label = static_cast<uint8_t>(bytes[begin + format.label_byte]);
      if (label >= format.classes) {
        throw UserError(fmt::format("{}, byte {}: the label of record {} is {}, but there are {} classes",
                                    path.string(), begin + format.label_byte, record, label, format.classes));
      }
      *labels++ = label;
      std::memcpy(pixels, bytes.data() + begin + format.label_bytes, kPixels);
    }
    left -= taken;
  }
  return data;
}

}  // namespace

DatasetPair LoadCifar(const config::DataOptions& options) {
  const Format format = FormatOf(options.name, options.folder);
  const ImageCounts counts = CountImages(options);
  const int64_t train_records_per_file = 50'000 / static_cast<int64_t>(format.train_files.size());
  return {.train = ReadRecords(format, format.train_files, train_records_per_file, counts.train, options),
          .test = ReadRecords(format, {format.test_file}, 10'000, counts.test, options)};
}

}  // namespace crescendo::data
