#include "crescendo/train/checkpoint.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "crescendo/train/checkpoint_json.h"
#include "crescendo/train/digest.h"

namespace crescendo::train {
namespace {

namespace fs = std::filesystem;
using schedule::Examples;

constexpr const char* kModelPrefix = "model.";
constexpr const char* kOptimizerPrefix = "optimizer.";

fs::path JsonPath(const fs::path& folder, Examples position) {
  return folder / fmt::format("{:012}.json", position.value());
}

std::optional<Examples> ParsePosition(const fs::path& json) {
  const std::string stem = json.stem().string();
  int64_t position = 0;
  const std::errc error = std::from_chars(stem.data(), stem.data() + stem.size(), position).ec;
  if (error != std::errc() || json.filename() != JsonPath("", Examples{position})) return std::nullopt;
  return Examples{position};
}

bool HasNameOfCheckpoint(fs::path file) {
  if (file.extension() == ".part" || file.extension() == ".damaged") file.replace_extension();
  const bool is_tensors = file.extension() == ".safetensors";
  return ParsePosition(is_tensors ? file.replace_extension(".json") : file).has_value();
}

}  // namespace

std::vector<nn::NamedTensor> TensorsOf(const Parts& parts) {
  std::vector<nn::NamedTensor> tensors;
  for (const auto* list : {&parts.model->parameters(), &parts.model->buffers()}) {
    for (const nn::NamedTensor& tensor : *list) tensors.push_back({kModelPrefix + tensor.name, tensor.value});
  }
  for (const optim::StateTensor& tensor : parts.optimizer->State()) {
    tensors.push_back({kOptimizerPrefix + tensor.name, tensor.value});
  }
  return tensors;
}

void WriteCheckpoint(const fs::path& folder, const CheckpointState& state, std::string_view tensor_bytes) {
  std::error_code error;
  const bool made = fs::create_directories(folder, error);
  if (error) throw RunError(fmt::format("cannot make the folder {}: {}", folder.string(), error.message()));
  if (made) SyncFolder(folder.parent_path());  // else a crash could take the folder with the checkpoint in it
  const fs::path json = JsonPath(folder, state.position.examples);
  // Text first, since it needs only memory; then no JSON may stand beside tensors that are not its own.
  const std::string text = ToJsonText(state, {tensor_bytes.size(), Sha256Of(tensor_bytes)});
  fs::remove(json, error);
  WriteFileAtomically(TensorsBeside(json), tensor_bytes);
  try {
    WriteFileAtomically(json, text);
  } catch (...) {  // on a full disk: room for the next one
    fs::remove(TensorsBeside(json), error);
    throw;
  }
}

std::vector<fs::path> ListCheckpoints(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (ParsePosition(entry.path())) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end(),
            [](const fs::path& a, const fs::path& b) { return PositionOf(a) > PositionOf(b); });
  return files;
}

Examples PositionOf(const fs::path& json) {
  const std::optional<Examples> position = ParsePosition(json);
  CRESCENDO_ASSERT(position.has_value(), json.string() + " is the name of a checkpoint");
  return *position;
}

fs::path TensorsBeside(const fs::path& json) { return fs::path(json).replace_extension(".safetensors"); }

void RemoveCheckpoint(const fs::path& json) {
  std::error_code ignored;  // what cannot be removed is only in the way
  fs::remove(json, ignored);
  fs::remove(TensorsBeside(json), ignored);
}

std::vector<fs::path> FilesOfCheckpoints(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, none)) {
    if (HasNameOfCheckpoint(entry.path()) && !entry.is_directory(none)) files.push_back(entry.path());
  }
  return files;
}

void PrepareCheckpointFolder(const fs::path& folder, Examples position) {
  std::error_code ignored;
  for (const fs::path& json : ListCheckpoints(folder)) {
    if (PositionOf(json) <= position) continue;
    for (const fs::path& file : {json, TensorsBeside(json)}) fs::rename(file, fs::path(file) += ".damaged", ignored);
  }
  for (const fs::path& file : FilesOfCheckpoints(folder)) {
    const bool alone = file.extension() == ".safetensors" && !fs::exists(fs::path(file).replace_extension(".json"));
    if (alone || file.extension() == ".part") fs::remove(file, ignored);
  }
}

CheckpointState ReadCheckpointState(const fs::path& json) { return ParseCheckpointJson(json).state; }

Checkpoint ReadCheckpoint(const fs::path& json) {
  ParsedCheckpointJson parsed = ParseCheckpointJson(json);
  const fs::path tensors = TensorsBeside(json);
  std::error_code error;
  const uint64_t size = fs::file_size(tensors, error);
  if (error) throw UserError(fmt::format("cannot read {}: {}", tensors.string(), error.message()));
  if (size != parsed.tensors.bytes) {
    throw UserError(fmt::format("{} has {} bytes and should have {}", tensors.string(), size, parsed.tensors.bytes));
  }
  if (Sha256OfFile(tensors) != parsed.tensors.sha256) {
    throw UserError(fmt::format("{} is damaged: its bytes are not those that were written", tensors.string()));
  }
  return {json, std::move(parsed.state), nn::ReadSafetensors(tensors).tensors};
}

std::optional<Checkpoint> NewestCheckpoint(const fs::path& folder, std::optional<Examples> at_most,
                                           const std::function<void(const std::string&)>& warn) {
  for (const fs::path& json : ListCheckpoints(folder)) {
    if (at_most && PositionOf(json) > *at_most) continue;
    try {
      return ReadCheckpoint(json);
    } catch (const UserError& problem) {
      warn(fmt::format("the checkpoint at example {} cannot be used: {}", PositionOf(json).value(), problem.what()));
    }
  }
  return std::nullopt;
}

void Restore(const Checkpoint& checkpoint, Parts& parts, OptimizerState optimizer) {
  const std::string path = TensorsBeside(checkpoint.path).string();
  std::map<std::string, at::Tensor> stored;
  for (const nn::NamedTensor& tensor : checkpoint.tensors) {
    if (optimizer == OptimizerState::kLeftOut && tensor.name.starts_with(kOptimizerPrefix)) continue;
    stored[tensor.name] = tensor.value;
  }
  std::vector<std::pair<at::Tensor, at::Tensor>> copies;
  for (const nn::NamedTensor& target : TensorsOf(parts)) {
    if (optimizer == OptimizerState::kLeftOut && target.name.starts_with(kOptimizerPrefix)) continue;
    const auto found = stored.find(target.name);
    if (found == stored.end()) throw UserError(fmt::format("{} has no tensor \"{}\"", path, target.name));
    const at::Tensor& value = found->second;
    if (value.sizes() != target.value.sizes() || value.scalar_type() != target.value.scalar_type()) {
      throw UserError(fmt::format("{}: tensor \"{}\" is {} [{}], but this run needs {} [{}]", path, target.name,
                                  c10::toString(value.scalar_type()), fmt::join(value.sizes(), ", "),
                                  c10::toString(target.value.scalar_type()), fmt::join(target.value.sizes(), ", ")));
    }
    copies.emplace_back(target.value, value);
    stored.erase(found);
  }
  if (!stored.empty()) {
    throw UserError(fmt::format("{} has a tensor \"{}\" for which this run has no place", path, stored.begin()->first));
  }
  const at::NoGradGuard no_gradients;
  for (const auto& [target, value] : copies) target.copy_(value);
}

}  // namespace crescendo::train
