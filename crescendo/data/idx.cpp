// The IDX format (yann.lecun.com/exdb/mnist): two zero bytes, a byte for the type of the elements (8: unsigned bytes),
// one for the number of dimensions, the sizes as big-endian 32-bit numbers, the elements.
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <cstring>

#include "crescendo/base/error.h"
#include "crescendo/data/image_files.h"
#include "crescendo/data/unpacked_file.h"

namespace crescendo::data {
namespace {

constexpr int64_t kSide = 28;
constexpr int64_t kClasses = 10;

uint32_t BigEndian(const std::string& bytes, size_t offset) {
  uint32_t number = 0;
  for (size_t i = 0; i < 4; ++i) number = number << 8 | static_cast<uint8_t>(bytes[offset + i]);
  return number;
}

// An array of bytes of the shape given. UserError where the file holds anything else.
at::Tensor ReadIdxFile(const std::filesystem::path& path, const std::vector<int64_t>& shape) {
  const size_t header = 4 + 4 * shape.size();
  int64_t elements = 1;
  for (const int64_t size : shape) elements *= size;
  const std::string bytes = ReadUnpackedFile(path, header + static_cast<size_t>(elements));
  if (bytes.size() < header) {
    throw UserError(fmt::format("{} ends at byte {}, in its header of {} bytes", path.string(), bytes.size(), header));
  }
  const auto magic = static_cast<uint32_t>(0x800 + shape.size());
  if (BigEndian(bytes, 0) != magic) {
    throw UserError(fmt::format("{}, byte 0: {:#010x} where an IDX file of bytes in {} dimensions begins with {:#010x}",
                                path.string(), BigEndian(bytes, 0), shape.size(), magic));
  }
  for (size_t i = 0; i < shape.size(); ++i) {
    const size_t offset = 4 + 4 * i;
    if (BigEndian(bytes, offset) != shape[i]) {
      throw UserError(fmt::format("{}, byte {}: size {} where {} is expected", path.string(), offset,
                                  BigEndian(bytes, offset), shape[i]));
    }
  }
  if (bytes.size() != header + static_cast<size_t>(elements)) {
    throw UserError(fmt::format("{} ends at byte {} and should at {}", path.string(), bytes.size(),
                                header + static_cast<size_t>(elements)));
  }
  at::Tensor array = at::empty(shape, at::kByte);
  std::memcpy(array.mutable_data_ptr<uint8_t>(), bytes.data() + header, static_cast<size_t>(elements));
  return array;
}

// `base`, packed or not.
std::filesystem::path FileOf(const std::filesystem::path& base, const config::DataOptions& options) {
  if (std::filesystem::exists(base)) return base;
  std::filesystem::path packed = base;
  packed += ".gz";
  RequireFetched(packed, options);
  return packed;
}

Dataset ReadSet(const std::string& part, int64_t available, int64_t examples, const config::DataOptions& options) {
  const char* name = options.name == config::DatasetName::kMnist ? "mnist" : "fashion-mnist";
  const std::filesystem::path folder = std::filesystem::path(options.folder) / name;
  const std::filesystem::path labels_path = FileOf(folder / (part + "-labels-idx1-ubyte"), options);
  const at::Tensor images =
      ReadIdxFile(FileOf(folder / (part + "-images-idx3-ubyte"), options), {available, kSide, kSide});
  const at::Tensor labels = ReadIdxFile(labels_path, {available});
  const uint8_t* label = labels.const_data_ptr<uint8_t>();
  for (int64_t i = 0; i < available; ++i) {
    if (label[i] >= kClasses) {
      throw UserError(fmt::format("{}, byte {}: the label of image {} is {}, but there are {} classes",
                                  labels_path.string(), 8 + i, i, label[i], kClasses));
    }
  }
  Dataset data;
  data.name = NameOf(options.name);
  data.classes = kClasses;
  data.inputs = images.narrow(0, 0, examples).unsqueeze(1).clone();
  data.labels = labels.narrow(0, 0, examples).to(at::kLong);
  return data;
}

}  // namespace

DatasetPair LoadIdx(const config::DataOptions& options) {
  const ImageCounts counts = CountImages(options);
  return {.train = ReadSet("train", 60'000, counts.train, options),
          .test = ReadSet("t10k", 10'000, counts.test, options)};
}

}  // namespace crescendo::data
