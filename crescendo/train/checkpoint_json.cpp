#include "crescendo/train/checkpoint_json.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "crescendo/train/digest.h"

namespace crescendo::train {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using schedule::Examples;
using schedule::Updates;

constexpr int kFormatVersion = 1;
constexpr const char* kOwnHashKey = "sha256_of_the_above";
// Far above any: a config is a few kilobytes.
constexpr uint64_t kLargestFile = 16 << 20;

std::string Dump(const Json& json) { return json.dump(1, ' ', false, Json::error_handler_t::replace); }

// JSON has no number for NaN and infinity, which a test loss may be: they are texts.
Json FromNumber(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

double ToNumber(const Json& json) {
  if (json.is_number()) return json.get<double>();
  const std::string text = json.get<std::string>();
  if (text == "nan") return std::nan("");
  if (text == "inf" || text == "-inf") return text == "inf" ? HUGE_VAL : -HUGE_VAL;
  throw UserError(fmt::format("\"{}\" is not a number", text.substr(0, 20)));
}

Json ToJson(const report::EvaluationRecord& record) {
  if (record.updates == Updates{0}) return nullptr;
  return {{"updates", record.updates.value()},
          {"examples", record.examples.value()},
          {"epoch", record.epoch},
          {"test_loss", FromNumber(record.loss)},
          {"test_accuracy", record.accuracy},
          {"train_seconds", record.train_seconds}};
}

report::EvaluationRecord EvaluationFrom(const Json& json) {
  report::EvaluationRecord record;
  if (json.is_null()) return record;
  record.updates = Updates{json.at("updates").get<int64_t>()};
  record.examples = Examples{json.at("examples").get<int64_t>()};
  record.epoch = json.at("epoch").get<double>();
  record.loss = ToNumber(json.at("test_loss"));
  record.accuracy = json.at("test_accuracy").get<double>();
  record.train_seconds = json.at("train_seconds").get<double>();
  return record;
}

Json ToJson(const RunPosition& position) {
  return {{"examples", position.examples.value()},
          {"updates", position.updates.value()},
          {"phase_batch", position.phase_batch.value()},
          {"momentum", position.momentum},
          {"loss", position.loss},
          {"unlogged_loss_sum", position.unlogged_loss_sum},
          {"unlogged_examples", position.unlogged_examples.value()},
          {"train_seconds", position.train_seconds},
          {"loader_wait_seconds", position.loader_wait_seconds},
          {"total_seconds", position.total_seconds},
          {"best_accuracy", position.best_accuracy},
          {"evaluation", ToJson(position.evaluation)}};
}

RunPosition PositionFrom(const Json& json) {
  RunPosition position;
  position.examples = Examples{json.at("examples").get<int64_t>()};
  position.updates = Updates{json.at("updates").get<int64_t>()};
  position.phase_batch = Examples{json.at("phase_batch").get<int64_t>()};
  const auto read = [&](const char* key, double& field) { json.at(key).get_to(field); };
  read("momentum", position.momentum);
  read("loss", position.loss);
  if (json.contains("unlogged_loss_sum")) {  // older checkpoints have none
    read("unlogged_loss_sum", position.unlogged_loss_sum);
    position.unlogged_examples = Examples{json.at("unlogged_examples").get<int64_t>()};
  }
  read("train_seconds", position.train_seconds);
  read("loader_wait_seconds", position.loader_wait_seconds);
  read("total_seconds", position.total_seconds);
  read("best_accuracy", position.best_accuracy);
  position.evaluation = EvaluationFrom(json.at("evaluation"));
  if (position.examples < Examples{0} || position.updates < Updates{0}) throw UserError("its position is below 0");
  return position;
}

// visit(key, field) for each text.
template <class State, class Visitor>
void VisitTexts(State& state, Visitor&& visit) {
  visit("written", state.written);
  visit("crescendo_version", state.crescendo_version);
  visit("commit", state.commit);
  visit("torch_version", state.torch_version);
  visit("machine", state.machine);
  visit("device", state.device);
  visit("plan_sha256", state.plan_sha256);
  visit("train_sha256", state.train_sha256);
  visit("test_sha256", state.test_sha256);
  visit("config_toml", state.config_toml);
}

// Text that is no JSON gives a value that is no object. Deep nesting is refused: writing it out again takes stack.
Json Parse(const std::string& text) {
  constexpr int kDeepest = 3;
  const auto check = [](int depth, Json::parse_event_t event, Json&) {
    const bool opens = event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start;
    if (opens && depth > kDeepest) throw UserError("it is nested too deeply");
    return true;
  };
  return Json::parse(text, check, /*allow_exceptions=*/false);
}

// A number of the layout, which the run will ask the machine for.
int64_t GetCount(const Json& json, const char* key, int64_t smallest, int64_t largest) {
  const auto count = json.at(key).get<int64_t>();
  if (count < smallest || count > largest) throw UserError(fmt::format("{} is {}", key, count));
  return count;
}

ParsedCheckpointJson FromJson(const Json& json) {
  const int version = json.at("format_version").get<int>();
  if (version != kFormatVersion) {
    throw UserError(fmt::format("format_version is {}, and this crescendo reads version {}", version, kFormatVersion));
  }
  ParsedCheckpointJson parsed;
  parsed.state.position = PositionFrom(json.at("position"));
  if (json.contains("workers")) parsed.state.workers = GetCount(json, "workers", 1, 1'000'000);  // older ones have none
  parsed.state.threads = GetCount(json, "threads", 1, 4096);
  parsed.state.micro_batch = GetCount(json, "micro_batch", 0, 1'000'000'000);
  VisitTexts(parsed.state, [&](const char* key, std::string& field) { json.at(key).get_to(field); });
  if (json.contains("gpu")) json.at("gpu").get_to(parsed.state.gpu);
  json.at("tensors").at("bytes").get_to(parsed.tensors.bytes);
  json.at("tensors").at("sha256").get_to(parsed.tensors.sha256);
  return parsed;
}

}  // namespace

std::string ToJsonText(const CheckpointState& state, const TensorFile& tensors) {
  Json json = {{"format_version", kFormatVersion},
               {"position", ToJson(state.position)},
               {"workers", state.workers},
               {"threads", state.threads},
               {"micro_batch", state.micro_batch}};
  VisitTexts(state, [&](const char* key, const std::string& field) { json[key] = field; });
  if (!state.gpu.empty()) json["gpu"] = state.gpu;
  json["tensors"] = {{"bytes", tensors.bytes}, {"sha256", tensors.sha256}};
  json[kOwnHashKey] = Sha256Of(Dump(json));
  return Dump(json) + '\n';
}

ParsedCheckpointJson ParseCheckpointJson(const fs::path& path) {
  std::error_code error;
  const uint64_t size = fs::file_size(path, error);
  if (error) throw UserError(fmt::format("cannot read {}: {}", path.string(), error.message()));
  try {
    if (size > kLargestFile) throw UserError(fmt::format("it has {} bytes", size));
    Json json = Parse(ReadFile(path));
    if (!json.is_object() || !json.contains(kOwnHashKey)) throw UserError("it is cut off or no JSON object");
    const auto hash = json.at(kOwnHashKey).get<std::string>();
    json.erase(kOwnHashKey);
    if (Sha256Of(Dump(json)) != hash) throw UserError("it is damaged: its SHA-256 is not the one it states");
    ParsedCheckpointJson parsed = FromJson(json);
    if (parsed.state.position.examples != PositionOf(path)) throw UserError("its name is that of another position");
    return parsed;
  } catch (const std::exception& problem) {  // ours, or of the JSON library: a key that is missing or of another type
    throw UserError(fmt::format("{} is not a checkpoint that can be read: {}", path.string(), problem.what()));
  }
}

}  // namespace crescendo::train
