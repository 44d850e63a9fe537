#include "crescendo/train/weights.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

#include "crescendo/base/enum_names.h"
#include "crescendo/base/error.h"
#include "crescendo/config/describe.h"
#include "crescendo/config/load.h"
#include "crescendo/nn/safetensors.h"
#include "crescendo/train/run_folder.h"

namespace crescendo::train {
namespace {

constexpr const char* kConfigKey = "crescendo.config";
constexpr const char* kEndKey = "crescendo.end";

// Parameters, then running statistics.
std::vector<nn::NamedTensor> TensorsOf(const nn::Model& model) {
  std::vector<nn::NamedTensor> tensors = model.parameters();
  tensors.insert(tensors.end(), model.buffers().begin(), model.buffers().end());
  return tensors;
}

}  // namespace

void SaveWeights(const std::filesystem::path& path, const nn::Model& model, const config::Options& options,
                 report::RunEnd end) {
  nn::WriteSafetensors(path, TensorsOf(model),
                       {{kConfigKey, config::ToToml(options)}, {kEndKey, std::string(NameOf(end))}});
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
  const std::map<std::string, std::string> metadata = nn::ReadSafetensorsMetadata(path);
  const auto found = metadata.find(kConfigKey);
  if (found == metadata.end()) {
    throw UserError(fmt::format("{} holds no \"{}\" in its metadata, so it was not written by crescendo train",
                                path.string(), kConfigKey));
  }
  return config::LoadText(found->second, path.string(), overrides);
}

std::string ReadEnd(const std::filesystem::path& path) {
  const std::map<std::string, std::string> metadata = nn::ReadSafetensorsMetadata(path);
  const auto found = metadata.find(kEndKey);
  return found == metadata.end() ? "" : found->second;
}

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
