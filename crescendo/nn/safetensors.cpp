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
#include <set>
#include <tuple>

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

// Messages repeat names but no JSON of the file: that may be 100 MB.
[[noreturn]] void MalformedTensor(const fs::path& path, const std::string& name, const std::string& what) {
  Malformed(path, fmt::format("tensor \"{}\" {}", name.substr(0, 100), what));
}

Entry ParseEntry(const fs::path& path, const std::string& name, const json& description, uint64_t data_size) {
  const auto member = [&](const char* key, json::value_t type) -> const json& {
    const auto found = description.is_object() ? description.find(key) : description.end();
    if (found == description.end() || found->type() != type)
      MalformedTensor(path, name, fmt::format("has no proper {}", key));
    return *found;
  };
  const auto& type = member("dtype", json::value_t::string).get_ref<const std::string&>();
  const json& shape = member("shape", json::value_t::array);
  const json& offsets = member("data_offsets", json::value_t::array);

  const TypeName* known =
      std::find_if(std::begin(kTypes), std::end(kTypes), [&](const TypeName& t) { return type == t.name; });
  if (known == std::end(kTypes)) {
    MalformedTensor(
        path, name,
        fmt::format("is of type {}, which is none of F64, F32, F16, BF16, I64, I32, U8, BOOL", type.substr(0, 20)));
  }
  if (offsets.size() != 2 || !offsets[0].is_number_unsigned() || !offsets[1].is_number_unsigned()) {
    MalformedTensor(path, name, "has no proper data_offsets");
  }
  Entry entry{name, known->type, {}, offsets[0].get<uint64_t>(), offsets[1].get<uint64_t>()};
  if (entry.begin > entry.end || entry.end > data_size) {
    MalformedTensor(path, name, fmt::format("claims bytes {} to {} of {}", entry.begin, entry.end, data_size));
  }
  uint64_t bytes = at::elementSize(entry.type);
  uint64_t strides = bytes;  // what LibTorch multiplies too, where an extent is 0
  constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
  for (const json& extent : shape) {
    if (!extent.is_number_unsigned()) MalformedTensor(path, name, "has no proper shape");
    const auto value = extent.get<uint64_t>();
    // Division instead of multiplication, which could overflow.
    if (value > kMost / strides) MalformedTensor(path, name, "has an impossible shape");
    strides *= std::max(value, uint64_t{1});
    bytes *= value;
    entry.shape.push_back(static_cast<int64_t>(value));
  }
  if (bytes != entry.end - entry.begin) {
    MalformedTensor(path, name, fmt::format("needs {} bytes but has {}", bytes, entry.end - entry.begin));
  }
  return entry;
}

// Refuses what would take much more memory than its text (deep nesting) and what parsers understand differently (a name
// twice).
json ParseHeader(const fs::path& path, const std::string& text) {
  constexpr int kDeepest = 2;  // the numbers of a shape
  std::set<std::string> names;
  json parsed = json::parse(
      text,
      [&](int depth, json::parse_event_t event, json& value) {
        const bool opens = event == json::parse_event_t::object_start || event == json::parse_event_t::array_start;
        if (opens && depth > kDeepest) Malformed(path, "its header is nested too deeply");
        if (event == json::parse_event_t::key && depth == 1 && !names.insert(value.get<std::string>()).second) {
          Malformed(path, "its header has a name twice");
        }
        return true;
      },
      /*allow_exceptions=*/false);
  if (!parsed.is_object()) Malformed(path, "its header is not a JSON object");
  return parsed;
}

Metadata ParseMetadata(const fs::path& path, const json& value) {
  if (!value.is_object()) Malformed(path, "its metadata is not an object of texts");
  Metadata metadata;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) Malformed(path, fmt::format("its metadata \"{}\" is not a text", key.substr(0, 100)));
    metadata[key] = text.get<std::string>();
  }
  return metadata;
}

void CheckThatTheyTile(const fs::path& path, const std::vector<Entry>& entries, uint64_t data_size) {
  uint64_t covered = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != covered) MalformedTensor(path, entry.name, "overlaps another or leaves a gap");
    covered = entry.end;
  }
  if (covered != data_size) Malformed(path, fmt::format("its tensors end at byte {} of {}", covered, data_size));
}

struct Header {
  std::vector<Entry> entries;  // in the order of their data
  Metadata metadata;
};

// Leaves `stream` at the beginning of the data.
Header ReadHeader(const fs::path& path, std::ifstream& stream) {
  std::error_code error;
  const uint64_t size = fs::file_size(path, error);
  if (error) throw UserError(fmt::format("cannot read {}: {}", path.string(), error.message()));
  stream.open(path, std::ios::binary);
  if (!stream) throw UserError(fmt::format("cannot read {}: {}", path.string(), std::strerror(errno)));
  uint64_t length = 0;
  if (size < sizeof length) Malformed(path, fmt::format("it has {} bytes", size));
  stream.read(reinterpret_cast<char*>(&length), sizeof length);
  if (length > kLargestHeader || length > size - sizeof length) {
    Malformed(path, fmt::format("its header claims {} bytes, the file has {}", length, size));
  }
  std::string text(length, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(length));
  if (!stream) Malformed(path, "its header could not be read");

  const uint64_t data_size = size - sizeof length - length;
  Header header;
  const json parsed = ParseHeader(path, text);
  for (const auto& [name, value] : parsed.items()) {
    if (name == kMetadataKey) {
      header.metadata = ParseMetadata(path, value);
    } else {
      header.entries.push_back(ParseEntry(path, name, value, data_size));
    }
  }
  // By both ends: an empty tensor stands before the one that begins where it is.
  std::sort(header.entries.begin(), header.entries.end(),
            [](const Entry& a, const Entry& b) { return std::tie(a.begin, a.end) < std::tie(b.begin, b.end); });
  CheckThatTheyTile(path, header.entries, data_size);
  return header;
}

// Appends the elements of a CPU tensor, row-major whatever its layout is. Without LibTorch's operators: these files are
// also written by a thread beside the training, which should not start a second set of compute threads.
void AppendElements(std::string& bytes, const at::Tensor& tensor) {
  const auto* data = static_cast<const char*>(tensor.const_data_ptr());
  if (tensor.is_contiguous()) {
    bytes.append(data, tensor.nbytes());
    return;
  }
  const size_t size = tensor.element_size();
  const auto append = [&](const auto& self, int64_t dimension, const char* begin) -> void {
    if (dimension == tensor.dim()) {
      bytes.append(begin, size);
      return;
    }
    for (int64_t i = 0; i < tensor.size(dimension); ++i) {
      self(self, dimension + 1, begin + i * tensor.stride(dimension) * static_cast<int64_t>(size));
    }
  };
  append(append, 0, data);
}

}  // namespace

std::string SafetensorsBytes(const std::vector<NamedTensor>& tensors, const Metadata& metadata) {
  std::vector<NamedTensor> ordered;
  for (const NamedTensor& tensor : tensors) {
    ordered.push_back({tensor.name, tensor.value.detach().to(at::kCPU)});
  }
  // The larger types first, so that each element stands at a multiple of its size: readers map these files.
  std::stable_sort(ordered.begin(), ordered.end(), [](const NamedTensor& a, const NamedTensor& b) {
    return a.value.element_size() > b.value.element_size();
  });

  json header = json::object();
  if (!metadata.empty()) header[kMetadataKey] = metadata;
  uint64_t offset = 0;
  for (const NamedTensor& tensor : ordered) {
    CRESCENDO_ASSERT(!header.contains(tensor.name), "tensors have different names");
    const uint64_t end = offset + tensor.value.nbytes();
    header[tensor.name] = {{"dtype", NameOfType(tensor.value.scalar_type())},
                           {"shape", tensor.value.sizes().vec()},
                           {"data_offsets", {offset, end}}};
    offset = end;
  }
  // A path in the metadata need not be UTF-8, and a finished run must not fail over it.
  std::string text = header.dump(-1, ' ', false, json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the data are aligned

  std::string bytes;
  bytes.reserve(8 + text.size() + offset);
  const uint64_t length = text.size();
  bytes.append(reinterpret_cast<const char*>(&length), sizeof length);
  bytes += text;
  for (const NamedTensor& tensor : ordered) {
    AppendElements(bytes, tensor.value);
  }
  return bytes;
}

void WriteSafetensors(const fs::path& path, const std::vector<NamedTensor>& tensors, const Metadata& metadata) {
  WriteFileAtomically(path, SafetensorsBytes(tensors, metadata));
}

SafetensorsFile ReadSafetensors(const fs::path& path) {
  std::ifstream stream;
  Header header = ReadHeader(path, stream);
  SafetensorsFile file;
  file.metadata = std::move(header.metadata);
  for (const Entry& entry : header.entries) {
    // Booleans by way of numbers: a byte of a stranger's file may be neither 0 nor 1.
    const bool is_bool = entry.type == at::kBool;
    at::Tensor tensor = at::empty(entry.shape, at::TensorOptions(is_bool ? at::kByte : entry.type));
    stream.read(static_cast<char*>(tensor.mutable_data_ptr()), static_cast<std::streamsize>(tensor.nbytes()));
    if (!stream) MalformedTensor(path, entry.name, "could not be read");
    file.tensors.push_back({entry.name, is_bool ? tensor.ne(0) : tensor});
  }
  return file;
}

Metadata ReadSafetensorsMetadata(const fs::path& path) {
  std::ifstream stream;
  return ReadHeader(path, stream).metadata;
}

}  // namespace crescendo::nn
