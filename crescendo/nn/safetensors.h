// safetensors: tensors in a file that holds data and never code, and that Python's `safetensors` opens.
//
//   8 bytes     length of the header, little-endian
//   header      JSON: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ..., "__metadata__": {"key":
//   "text"}} data        the tensors' elements, row-major, without gaps
//
// Files may come from strangers: sizes in a header are checked against the file before memory is taken.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "crescendo/nn/model.h"

namespace crescendo::nn {

using Metadata = std::map<std::string, std::string>;

struct SafetensorsFile {
  std::vector<NamedTensor> tensors;  // on the CPU, contiguous, in the order of their data
  Metadata metadata;
};

// The bytes of such a file. Tensors of any device and memory layout, of types F64 F32 F16 BF16 I64 I32 U8 BOOL, with
// different names. Those of larger types come first, so that all are aligned.
std::string SafetensorsBytes(const std::vector<NamedTensor>& tensors, const Metadata& metadata);

// Replaces `path` by them in one step (base/file.h).
void WriteSafetensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                      const Metadata& metadata);

// UserError, naming the file and what is wrong with it.
SafetensorsFile ReadSafetensors(const std::filesystem::path& path);

// The metadata alone, without reading the tensors' data.
Metadata ReadSafetensorsMetadata(const std::filesystem::path& path);

}  // namespace crescendo::nn
