// The JSON file of a checkpoint as text (docs/formats/checkpoint.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "crescendo/train/checkpoint.h"

namespace crescendo::train {

struct TensorFile {
  uint64_t bytes = 0;
  std::string sha256;
};

std::string ToJsonText(const CheckpointState& state, const TensorFile& tensors);

struct ParsedCheckpointJson {
  CheckpointState state;
  TensorFile tensors;
};

// UserError, naming the file and what is wrong with it.
ParsedCheckpointJson ParseCheckpointJson(const std::filesystem::path& path);

}  // namespace crescendo::train
