#include "crescendo/train/weights.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "crescendo/base/enum_names.h"
#include "crescendo/base/error.h"
#include "crescendo/config/describe.h"
#include "crescendo/config/load.h"
#include "crescendo/nn/safetensors.h"
#include "crescendo/train/checkpoint.h"
#include "crescendo/train/run_folder.h"

namespace crescendo::train {
namespace {

constexpr const char* kConfigKey = "crescendo.config";
constexpr const char* kTableKey = "crescendo.table";
constexpr const char* kEndKey = "crescendo.end";

// The text under `key`, if there is one.
std::optional<std::string> ReadMetadata(const std::filesystem::path& path, const char* key) {
  const nn::Metadata metadata = nn::ReadSafetensorsMetadata(path);
  const auto found = metadata.find(key);
  return found == metadata.end() ? std::nullopt : std::optional(found->second);
}

// Parameters, then running statistics.
std::vector<nn::NamedTensor> TensorsOf(const nn::Model& model) {
  std::vector<nn::NamedTensor> tensors = model.parameters();
  tensors.insert(tensors.end(), model.buffers().begin(), model.buffers().end());
  return tensors;
}

void RefuseCheckpoint(const std::filesystem::path& path) {
  const std::filesystem::path absolute = std::filesystem::absolute(path);
  const std::filesystem::path json = std::filesystem::path(absolute).replace_extension(".json");
  const std::vector<std::filesystem::path> checkpoints = ListCheckpoints(absolute.parent_path());
  if (std::ranges::find(checkpoints, json) == checkpoints.end()) return;
  throw UserError(fmt::format(
      "{0} is a checkpoint; `crescendo eval {1}` evaluates the run, and `crescendo resume {1} --branch NEWDIR --at "
      "{2}sp` goes on from it",
      path.string(), absolute.parent_path().parent_path().string(), PositionOf(json).value()));
}

}  // namespace

void SaveWeights(const std::filesystem::path& path, const nn::Model& model, const config::Options& options,
                 const std::optional<data::TableEncoding>& table, report::RunEnd end) {
  nn::Metadata metadata = {{kConfigKey, config::ToToml(options)}, {kEndKey, std::string(NameOf(end))}};
  if (table) metadata[kTableKey] = data::ToJsonText(*table);
  nn::WriteSafetensors(path, TensorsOf(model), metadata);
}

std::filesystem::path WeightsAt(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return path;
  const RunFolder run(path);
  if (std::filesystem::exists(run.log()) && !std::filesystem::exists(run.weights())) {
    throw UserError(
        fmt::format("there is no {0}: a run saves its weights when it ends, and this one has not ended; if it was "
                    "killed, `crescendo resume {1}` goes on with it",
                    run.weights().string(), path.string()));
  }
  return run.weights();
}

config::Options ReadOptions(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
  const std::optional<std::string> text = ReadMetadata(path, kConfigKey);
  if (!text) {
    RefuseCheckpoint(path);
    throw UserError(fmt::format("{} holds no \"{}\" in its metadata, so it was not written by crescendo train",
                                path.string(), kConfigKey));
  }
  return config::LoadText(*text, path.string(), overrides);
}

std::optional<data::TableEncoding> ReadTableEncoding(const std::filesystem::path& path) {
  const std::optional<std::string> text = ReadMetadata(path, kTableKey);
  if (!text) return std::nullopt;
  try {
    return data::ParseTableEncoding(*text);
  } catch (const UserError& problem) {
    throw UserError(
        fmt::format("{}: its metadata \"{}\" cannot be understood: {}", path.string(), kTableKey, problem.what()));
  }
}

std::string ReadEnd(const std::filesystem::path& path) { return ReadMetadata(path, kEndKey).value_or(""); }

void LoadWeights(const std::filesystem::path& path, nn::Model& model) {
  const nn::SafetensorsFile file = nn::ReadSafetensors(path);
  std::map<std::string, at::Tensor> stored;
  for (const nn::NamedTensor& tensor : file.tensors) stored[tensor.name] = tensor.value;
  const at::NoGradGuard no_gradients;
  for (const nn::NamedTensor& target : TensorsOf(model)) {
    const auto found = stored.find(target.name);
    if (found == stored.end()) {
      throw UserError(
          fmt::format("{} has no tensor \"{}\", which the model of its config needs", path.string(), target.name));
    }
    if (found->second.sizes() != target.value.sizes()) {
      throw UserError(fmt::format("{}: tensor \"{}\" has shape [{}], the model needs [{}]", path.string(), target.name,
                                  fmt::join(found->second.sizes(), ", "), fmt::join(target.value.sizes(), ", ")));
    }
    target.value.copy_(found->second);
    stored.erase(found);
  }
  if (!stored.empty()) {
    throw UserError(
        fmt::format("{} has a tensor \"{}\" for which the model has no place", path.string(), stored.begin()->first));
  }
}

}  // namespace crescendo::train
