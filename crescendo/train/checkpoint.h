// A checkpoint: all that the future of a run depends on, as data and never as code (docs/formats/checkpoint.md).
//
//   <run>/checkpoints/000000051200.safetensors   parameters, running statistics, optimizer state, at example 51,200
//   <run>/checkpoints/000000051200.json          the position, and what identifies config, plan, data and tensors
//
// The JSON file is written last and makes the checkpoint: tensors without it are the rest of a crash. It holds the size
// and the SHA-256 of the tensors' file, and a SHA-256 of itself, so that what is cut off or damaged is found.
//
//   CheckpointState state = MakeState(...);
//   WriteCheckpoint(folder, state, nn::SafetensorsBytes(TensorsOf(parts), {}));
//   std::optional<Checkpoint> checkpoint = NewestCheckpoint(folder, std::nullopt, warn);
//   Restore(*checkpoint, parts, OptimizerState::kRequired);
//
// Nothing in it depends on how many workers trained, so any number of them can go on from it.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crescendo/nn/safetensors.h"
#include "crescendo/train/build.h"
#include "crescendo/train/run_position.h"

namespace crescendo::train {

// Everything but the tensors.
struct CheckpointState {
  RunPosition position;

  std::string config_toml;  // resolved; what it leaves to be chosen ("auto") was chosen as below
  std::string device;       // "cpu" or "cuda"
  int64_t workers = 0;      // that were started; 0: not known, in a checkpoint of an older version
  int64_t threads = 0;
  int64_t micro_batch = 0;  // 0: stopped before it was chosen

  std::string plan_sha256;
  std::string train_sha256;  // of the data sets
  std::string test_sha256;

  // What the last bits may hang on besides.
  std::string crescendo_version;
  std::string commit;
  std::string torch_version;
  std::string machine;
  std::string gpu;      // its model; "" for a CPU, and in a checkpoint of an older version
  std::string written;  // UTC, ISO 8601
};

struct Checkpoint {
  std::filesystem::path path;  // of the JSON file
  CheckpointState state;
  std::vector<nn::NamedTensor> tensors;
};

// Parameters and running statistics as "model.<name>", the optimizer's state as "optimizer.<name>": the live tensors.
std::vector<nn::NamedTensor> TensorsOf(const Parts& parts);

// Tensors, then JSON, each in one step (base/file.h). A checkpoint that stood at the same position is gone once the
// tensors are written. RunError where it cannot be done; all other checkpoints are as they were.
void WriteCheckpoint(const std::filesystem::path& folder, const CheckpointState& state, std::string_view tensor_bytes);

// The JSON files of all checkpoints in a folder, the newest position first. None where there is no folder.
std::vector<std::filesystem::path> ListCheckpoints(const std::filesystem::path& folder);
schedule::Examples PositionOf(const std::filesystem::path& json);
std::filesystem::path TensorsBeside(const std::filesystem::path& json);
void RemoveCheckpoint(const std::filesystem::path& json);

// The files in a folder that have the name of a checkpoint's: of a whole one, of one that was being written (.part),
// and of one that was set aside (.damaged). None where there is no folder.
std::vector<std::filesystem::path> FilesOfCheckpoints(const std::filesystem::path& folder);

// Makes a folder ready for a run that goes on at `position`: removes the rest of checkpoints that were being written,
// and renames those of later positions, which the run could not use, to <name>.damaged.
void PrepareCheckpointFolder(const std::filesystem::path& folder, schedule::Examples position);

// Reads and checks both files. UserError, naming the file and what is wrong with it. Sizes are checked before memory is
// taken.
CheckpointState ReadCheckpointState(const std::filesystem::path& json);
Checkpoint ReadCheckpoint(const std::filesystem::path& json);

// The newest checkpoint that is whole, at most at `at_most` if given. Each newer one that is not is told to `warn`,
// with what is wrong with it.
std::optional<Checkpoint> NewestCheckpoint(const std::filesystem::path& folder,
                                           std::optional<schedule::Examples> at_most,
                                           const std::function<void(const std::string&)>& warn);

// Copies the tensors into the parts. UserError, naming the tensor, where names, types or shapes are not theirs, and
// nothing is changed then. Without optimizer state the optimizer begins anew.
enum class OptimizerState { kRequired, kLeftOut };
void Restore(const Checkpoint& checkpoint, Parts& parts, OptimizerState optimizer);

}  // namespace crescendo::train
