#include "crescendo/nn/safetensors.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"

namespace crescendo::nn {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are stored little-endian");

using nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* kMetadataKey = "__metadata__";
// What the reference implementation allows too.
constexpr uint64_t kLargestHeader = 100'000'000;

struct TypeName {
  const char* name;
  at::ScalarType type;
};
constexpr TypeName kTypes[] = {{"F64", at::kDouble}, {"F32", at::kFloat}, {"F16", at::kHalf}, {"BF16", at::kBFloat16},
                               {"I64", at::kLong},   {"I32", at::kInt},   {"U8", at::kByte},  {"BOOL", at::kBool}};

const char* NameOfType(at::ScalarType type) {
  for (const TypeName& entry : kTypes) {
    if (entry.type == type) return entry.name;
  }
  CRESCENDO_ASSERT(false, "a type that safetensors can hold");
  return "";
}

[[noreturn]] void Malformed(const fs::path& path, const std::string& what) {
  throw UserError(fmt::format("{} is not a safetensors file that can be read: {}", path.string(), what));
}

// A tensor as the header describes it, checked.
struct Entry {
  std::string name;
  at::ScalarType type;
  std::vector<int64_t> shape;
  uint64_t begin;
  uint64_t end;
};

Entry ParseEntry(const fs::path& path, const std::string& name, const json& description, uint64_t data_size) {
  Entry entry;
  entry.name = name;
  std::string type;
  try {
    type = description.at("dtype").get<std::string>();
    for (const json& extent : description.at("shape")) {
      if (!extent.is_number_unsigned())
        Malformed(path, fmt::format("tensor \"{}\" has the shape {}", name, description.at("shape").dump()));
      entry.shape.push_back(extent.get<int64_t>());
    }
    const json& offsets = description.at("data_offsets");
    if (offsets.size() != 2 || !offsets[0].is_number_unsigned() || !offsets[1].is_number_unsigned()) {
      Malformed(path, fmt::format("tensor \"{}\" has the data_offsets {}", name, offsets.dump()));
    }
    entry.begin = offsets[0].get<uint64_t>();
    entry.end = offsets[1].get<uint64_t>();
  } catch (const json::exception&) {
    Malformed(path, fmt::format("tensor \"{}\" is described by {}, not by dtype, shape and data_offsets", name,
                                description.dump()));
  }
  const TypeName* known =
      std::find_if(std::begin(kTypes), std::end(kTypes), [&](const TypeName& t) { return type == t.name; });
  if (known == std::end(kTypes))
    Malformed(path, fmt::format("tensor \"{}\" has the type {}, which is not supported", name, type));
  entry.type = known->type;
  if (entry.begin > entry.end || entry.end > data_size) {
    Malformed(path, fmt::format("tensor \"{}\" claims bytes {} to {} of {}", name, entry.begin, entry.end, data_size));
  }
  uint64_t bytes = at::elementSize(entry.type);
  for (const int64_t extent : entry.shape) {
    // Division instead of multiplication, which could overflow.
    if (extent < 0 || (extent > 0 && bytes > std::numeric_limits<uint64_t>::max() / static_cast<uint64_t>(extent))) {
      Malformed(path, fmt::format("tensor \"{}\" has an impossible shape", name));
    }
    bytes *= static_cast<uint64_t>(extent);
  }
  if (bytes != entry.end - entry.begin) {
    Malformed(path, fmt::format("tensor \"{}\" needs {} bytes but has {}", name, bytes, entry.end - entry.begin));
  }
  return entry;
}

struct Header {
  std::vector<Entry> entries;  // in the order of their data
  Metadata metadata;
  uint64_t data_begin = 0;
};

Header ReadHeader(const fs::path& path, std::ifstream& stream) {
  std::error_code error;
  const uint64_t size = fs::file_size(path, error);
  stream.open(path, std::ios::binary);
  if (error || !stream) throw UserError(fmt::format("cannot read {}: {}", path.string(), std::strerror(errno)));
  uint64_t length = 0;
  if (size < sizeof length) Malformed(path, fmt::format("it has {} bytes", size));
  stream.read(reinterpret_cast<char*>(&length), sizeof length);
  if (length > kLargestHeader || length > size - sizeof length) {
    Malformed(path, fmt::format("its header claims {} bytes, the file has {}", length, size));
  }
  std::string text(length, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(length));
  const json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) Malformed(path, "its header is not a JSON object");

  Header header;
  header.data_begin = sizeof length + length;
  for (const auto& [name, value] : parsed.items()) {
    if (name != kMetadataKey) {
      header.entries.push_back(ParseEntry(path, name, value, size - header.data_begin));
      continue;
    }
    if (!value.is_object()) Malformed(path, "its metadata is not an object of texts");
    for (const auto& [key, text_value] : value.items()) {
      if (!text_value.is_string()) Malformed(path, fmt::format("its metadata \"{}\" is not a text", key));
      header.metadata[key] = text_value.get<std::string>();
    }
  }
  std::sort(header.entries.begin(), header.entries.end(),
            [](const Entry& a, const Entry& b) { return a.begin < b.begin; });
  uint64_t covered = 0;
  for (const Entry& entry : header.entries) {
    if (entry.begin != covered)
      Malformed(path, fmt::format("tensor \"{}\" overlaps another or leaves a gap", entry.name));
    covered = entry.end;
  }
  if (covered != size - header.data_begin) {
    Malformed(path, fmt::format("its tensors end at byte {} of {}", covered, size - header.data_begin));
  }
  return header;
}

}  // namespace

void WriteSafetensors(const fs::path& path, const std::vector<NamedTensor>& tensors, const Metadata& metadata) {
  json header = json::object();
  if (!metadata.empty()) header[kMetadataKey] = metadata;
  std::vector<at::Tensor> contiguous;
  uint64_t offset = 0;
  for (const NamedTensor& tensor : tensors) {
    contiguous.push_back(tensor.value.detach().to(at::kCPU).contiguous());
    const uint64_t bytes = contiguous.back().nbytes();
    header[tensor.name] = {{"dtype", NameOfType(tensor.value.scalar_type())},
                           {"shape", tensor.value.sizes().vec()},
                           {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the data are aligned

  std::string bytes;
  bytes.reserve(8 + text.size() + offset);
  const uint64_t length = text.size();
  bytes.append(reinterpret_cast<const char*>(&length), sizeof length);
  bytes += text;
  for (const at::Tensor& tensor : contiguous) {
    bytes.append(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes());
  }
  WriteFileAtomically(path, bytes);
}

SafetensorsFile ReadSafetensors(const fs::path& path) {
  std::ifstream stream;
  Header header = ReadHeader(path, stream);
  SafetensorsFile file;
  file.metadata = std::move(header.metadata);
  for (const Entry& entry : header.entries) {
    at::Tensor tensor = at::empty(entry.shape, at::TensorOptions(entry.type));
    stream.read(static_cast<char*>(tensor.mutable_data_ptr()), static_cast<std::streamsize>(entry.end - entry.begin));
    if (!stream) Malformed(path, fmt::format("tensor \"{}\" could not be read", entry.name));
    file.tensors.push_back({entry.name, tensor});
  }
  return file;
}

Metadata ReadSafetensorsMetadata(const fs::path& path) {
  std::ifstream stream;
  return ReadHeader(path, stream).metadata;
}

}  // namespace crescendo::nn
