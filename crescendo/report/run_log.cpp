#include "crescendo/report/run_log.h"

#include <fmt/format.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "crescendo/base/enum_names.h"
#include "crescendo/base/error.h"
#include "crescendo/base/file.h"

namespace crescendo::report {
namespace {

using Json = nlohmann::ordered_json;
using schedule::Examples;
using schedule::Updates;

constexpr int kFormatVersion = 1;
constexpr auto kFlushInterval = std::chrono::seconds(5);

// JSON has no number for what is not finite: null, and this in "<key>_text".
const char* TextOfNotFinite(double value) { return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf"; }

void PutNumber(Json& json, const std::string& key, double value) {
  json[key] = value;
  if (!std::isfinite(value)) json[key + "_text"] = TextOfNotFinite(value);
}

double GetNumber(const Json& json, const std::string& key) {
  if (!json.at(key).is_null()) return json.at(key).get<double>();
  const std::string text = json.at(key + "_text").get<std::string>();
  if (text == "nan") return std::nan("");
  return text == "inf" ? HUGE_VAL : -HUGE_VAL;
}

template <class SittingType, class Visitor>
void VisitSitting(SittingType& sitting, Visitor&& visit) {
  visit("started", sitting.started);
  visit("crescendo_version", sitting.crescendo_version);
  visit("commit", sitting.commit);
  visit("torch_version", sitting.torch_version);
  visit("machine", sitting.machine);
  visit("device", sitting.device);
  visit("gpu_id", sitting.gpu_id);
  visit("workers", sitting.workers);
  visit("threads", sitting.threads);
  visit("micro_batch", sitting.micro_batch);
}

void Put(Json& json, const Sitting& sitting) {
  VisitSitting(sitting, [&](const char* key, const auto& field) { json[key] = field; });
  if (sitting.gpu_id.empty()) json.erase("gpu_id");
}

void Get(const Json& json, Sitting& sitting) {
  VisitSitting(sitting, [&](const std::string& key, auto& field) {
    // Of a CPU, and logs of before there were several.
    const bool may_be_missing = key == "gpu_id" || key == "workers";
    if (!may_be_missing || json.contains(key)) json.at(key).get_to(field);
  });
}

Json ToJson(const RunHeader& header) {
  Json json = {{"type", "header"}, {"format_version", kFormatVersion}};
  Put(json, header);
  json["compiler"] = header.compiler;
  json["parameters"] = header.parameters;
  json["train_examples"] = header.train_examples;
  json["test_examples"] = header.test_examples;
  json["total_examples"] = header.total_examples;
  json["total_updates"] = header.total_updates;
  json["config_toml"] = header.config_toml;
  if (!header.branched_from.empty()) {
    json["branched_from"] = header.branched_from;
    json["begin_examples"] = header.begin_examples.value();
  }
  return json;
}

RunHeader HeaderFrom(const Json& json) {
  RunHeader header;
  Get(json, header);
  const auto read = [&](const char* key, auto& field) { json.at(key).get_to(field); };
  read("compiler", header.compiler);
  read("parameters", header.parameters);
  read("train_examples", header.train_examples);
  read("test_examples", header.test_examples);
  read("total_examples", header.total_examples);
  read("total_updates", header.total_updates);
  read("config_toml", header.config_toml);
  if (json.contains("branched_from")) {
    read("branched_from", header.branched_from);
    header.begin_examples = Examples{json.at("begin_examples").get<int64_t>()};
  }
  return header;
}

Json ToJson(const ResumeRecord& record) {
  Json json = {{"type", "resume"},
               {"updates", record.updates.value()},
               {"examples", record.examples.value()},
               {"train_seconds", record.train_seconds},
               {"changes", record.changes}};
  Put(json, record);
  return json;
}

ResumeRecord ResumeFrom(const Json& json) {
  ResumeRecord record;
  record.updates = Updates{json.at("updates").get<int64_t>()};
  record.examples = Examples{json.at("examples").get<int64_t>()};
  json.at("train_seconds").get_to(record.train_seconds);
  json.at("changes").get_to(record.changes);
  Get(json, record);
  return record;
}

// What PutNumber puts, as JSON text.
std::string Member(std::string_view key, double value) {
  if (std::isfinite(value)) return fmt::format(R"("{}":{})", key, value);
  return fmt::format(R"("{}":null,"{}_text":"{}")", key, key, TextOfNotFinite(value));
}

// Written for every update, so without a tree of JSON values, which would take five times as long.
std::string ToLine(const UpdateRecord& record) {
  const schedule::Setting& setting = record.setting;
  std::string line = fmt::format(
      R"({{"type":"update","updates":{},"examples":{},"epoch":{},"phase":{},"global_batch":{},"learning_rate":{},)"
      R"("momentum":{},"noise_scale":{},"noise_scale_exact":{},"reference_noise_scale":{},{},{},"train_seconds":{},)"
      R"("loader_wait_seconds":{})",
      setting.update.value() + 1, setting.end.value(), record.epoch, setting.phase, setting.global_batch.value(),
      setting.learning_rate, setting.momentum, setting.noise_scale, setting.noise_scale_exact,
      setting.reference_noise_scale, Member("loss", record.loss),
      Member("images_per_second", record.examples_per_second), record.seconds, record.loader_wait_seconds);
  for (size_t i = 0; i < record.workers.size(); ++i) {
    const WorkerRecord& worker = record.workers[i];
    line += fmt::format(R"({}{{"images_per_second":{},"loader_wait_seconds":{},"group_wait_seconds":{}}})",
                        i == 0 ? R"(,"workers":[)" : ",", worker.examples_per_second, worker.loader_wait_seconds,
                        worker.group_wait_seconds);
  }
  line += record.workers.empty() ? "}" : "]}";
  return line;
}

UpdateRecord UpdateFrom(const Json& json) {
  UpdateRecord record;
  schedule::Setting& setting = record.setting;
  setting.update = Updates{json.at("updates").get<int64_t>() - 1};
  setting.end = Examples{json.at("examples").get<int64_t>()};
  setting.global_batch = Examples{json.at("global_batch").get<int64_t>()};
  const auto read = [&](const char* key, auto& field) { json.at(key).get_to(field); };
  read("phase", setting.phase);
  read("learning_rate", setting.learning_rate);
  read("momentum", setting.momentum);
  read("noise_scale", setting.noise_scale);
  read("noise_scale_exact", setting.noise_scale_exact);
  read("reference_noise_scale", setting.reference_noise_scale);
  read("epoch", record.epoch);
  read("train_seconds", record.seconds);
  read("loader_wait_seconds", record.loader_wait_seconds);
  record.loss = GetNumber(json, "loss");
  record.examples_per_second = GetNumber(json, "images_per_second");
  return record;
}

Json ToJson(const EvaluationRecord& record) {
  Json json = {{"type", "evaluation"},
               {"updates", record.updates.value()},
               {"examples", record.examples.value()},
               {"epoch", record.epoch}};
  PutNumber(json, "test_loss", record.loss);
  PutNumber(json, "test_accuracy", record.accuracy);
  json["train_seconds"] = record.train_seconds;
  return json;
}

EvaluationRecord EvaluationFrom(const Json& json) {
  EvaluationRecord record;
  record.updates = Updates{json.at("updates").get<int64_t>()};
  record.examples = Examples{json.at("examples").get<int64_t>()};
  record.epoch = json.at("epoch").get<double>();
  record.loss = GetNumber(json, "test_loss");
  record.accuracy = GetNumber(json, "test_accuracy");
  record.train_seconds = json.at("train_seconds").get<double>();
  return record;
}

Json ToJson(const RunFooter& footer) {
  Json json = {{"type", "footer"},
               {"end", NameOf(footer.end)},
               {"reason", footer.reason},
               {"updates", footer.updates.value()},
               {"examples", footer.examples.value()},
               {"train_seconds", footer.train_seconds},
               {"total_seconds", footer.total_seconds},
               {"checkpoints", footer.checkpoints},
               {"checkpoint_stall_seconds", footer.checkpoint_stall_seconds},
               {"checkpoint_write_seconds", footer.checkpoint_write_seconds},
               {"final_evaluation", nullptr}};
  if (footer.final_evaluation.updates > Updates{0}) {
    Json evaluation = ToJson(footer.final_evaluation);
    evaluation.erase("type");
    json["final_evaluation"] = std::move(evaluation);
  }
  return json;
}

RunFooter FooterFrom(const Json& json) {
  RunFooter footer;
  const std::string end = json.at("end").get<std::string>();
  const std::optional<RunEnd> known = ParseEnum<RunEnd>(end);
  if (!known) throw UserError(fmt::format("'{}' is not an end of a run", end));
  footer.end = *known;
  json.at("reason").get_to(footer.reason);
  footer.updates = Updates{json.at("updates").get<int64_t>()};
  footer.examples = Examples{json.at("examples").get<int64_t>()};
  footer.train_seconds = json.at("train_seconds").get<double>();
  footer.total_seconds = json.at("total_seconds").get<double>();
  footer.checkpoints = json.value("checkpoints", int64_t{0});
  footer.checkpoint_stall_seconds = json.value("checkpoint_stall_seconds", 0.0);
  footer.checkpoint_write_seconds = json.value("checkpoint_write_seconds", 0.0);
  if (!json.at("final_evaluation").is_null()) footer.final_evaluation = EvaluationFrom(json.at("final_evaluation"));
  return footer;
}

// One line into `summary`. Throws where it is not a record.
void ReadLine(const std::string& line, bool first, const std::function<void(const UpdateRecord&)>& on_update,
              RunSummary& summary) {
  const Json json = Json::parse(line);
  const std::string type = json.at("type").get<std::string>();
  if (first != (type == "header")) {
    throw UserError(first ? "the first line is not a header" : "a second header");
  }
  if (type == "header") {
    const int version = json.at("format_version").get<int>();
    if (version != kFormatVersion) {
      throw UserError(
          fmt::format("format_version is {}, and this crescendo reads version {}", version, kFormatVersion));
    }
    summary.header = HeaderFrom(json);
  } else if (type == "resume") {
    summary.resumes.push_back(ResumeFrom(json));
  } else if (type == "update") {
    ++summary.logged_updates;
    if (on_update) on_update(UpdateFrom(json));
  } else if (type == "evaluation") {
    summary.evaluations.push_back(EvaluationFrom(json));
  } else if (type == "footer") {
    summary.footer = FooterFrom(json);
  } else {
    throw UserError(fmt::format("'{}' is not a type of record", type));
  }
}

}  // namespace

RunLog::RunLog(std::filesystem::path path, Open open)
    : path_(std::move(path)), file_(std::fopen(path_.c_str(), open == Open::kAppend ? "ae" : "we"), &std::fclose) {
  if (!file_) Fail();
}

RunLog::~RunLog() = default;

// Text from outside (an error's reason, a path) may hold bytes that are no UTF-8: they are replaced, a log is not lost
// over them.
void RunLog::Header(const RunHeader& header) {
  Write(ToJson(header).dump(-1, ' ', false, Json::error_handler_t::replace));
  Flush();
}

void RunLog::Resume(const ResumeRecord& record) {
  Write(ToJson(record).dump(-1, ' ', false, Json::error_handler_t::replace));
  Flush();
}

void RunLog::Update(const UpdateRecord& record) {
  Write(ToLine(record));
  if (std::chrono::steady_clock::now() - flushed_ >= kFlushInterval) Flush();
}

void RunLog::Evaluation(const EvaluationRecord& record) {
  Write(ToJson(record).dump());
  Flush();
}

void RunLog::Footer(const RunFooter& footer) {
  Write(ToJson(footer).dump(-1, ' ', false, Json::error_handler_t::replace));
  Flush();
}

void RunLog::Write(std::string line) {
  line += '\n';
  if (std::fwrite(line.data(), 1, line.size(), file_.get()) != line.size()) Fail();
}

void RunLog::Flush() {
  if (std::fflush(file_.get()) != 0) Fail();
  flushed_ = std::chrono::steady_clock::now();
}

void RunLog::Fail() const { throw RunError(fmt::format("cannot write {}: {}", path_.string(), std::strerror(errno))); }

RunSummary ReadRunLog(const std::filesystem::path& path, const std::function<void(const UpdateRecord&)>& on_update) {
  const std::string text = ReadFile(path);
  RunSummary summary;
  int64_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t newline = text.find('\n', begin);
    ++number;
    if (newline == std::string::npos) {
      // Whole records end with a newline, so this one was being written when the run or the disk ended.
      summary.warning = fmt::format("{}: line {} is cut off and was left out", path.string(), number);
      break;
    }
    try {
      ReadLine(text.substr(begin, newline - begin), number == 1, on_update, summary);
    } catch (const std::exception& error) {
      // What the library of JSON says counts lines and columns of its own.
      const bool of_json = dynamic_cast<const Json::exception*>(&error) != nullptr;
      throw UserError(fmt::format(
          "{} is not a run log: line {}: {}", path.string(), number,
          of_json ? fmt::format("'{}' is not a record", text.substr(begin, std::min<size_t>(40, newline - begin)))
                  : error.what()));
    }
    begin = newline + 1;
  }
  if (number == 0 || (number == 1 && !summary.warning.empty())) {
    throw UserError(fmt::format("{} is not a run log: it holds no header", path.string()));
  }
  if (!summary.footer && summary.warning.empty()) {
    summary.warning = fmt::format("{} has no footer: the run was killed, or still goes on", path.string());
  }
  return summary;
}

}  // namespace crescendo::report
