#include "crescendo/report/log_continuation.h"

#include <fmt/format.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "crescendo/report/event_log.h"

namespace crescendo::report {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

void Truncate(const fs::path& path, size_t size, size_t old_size) {
  if (size == old_size) return;
  std::error_code error;
  fs::resize_file(path, size, error);
  if (error) throw RunError(fmt::format("cannot cut {}: {}", path.string(), error.message()));
}

// A line of run.jsonl that can be kept; nothing where it is no record.
struct Line {
  std::string type;
  int64_t updates = 0;
};

std::optional<Line> ParseLine(std::string_view text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto type = json.is_object() ? json.find("type") : json.end();
  if (!json.is_object() || type == json.end() || !type->is_string()) return std::nullopt;
  Line line{type->get<std::string>(), 0};
  if (line.type == "header") return line;
  const auto updates = json.find("updates");
  if (updates == json.end() || !updates->is_number_integer()) return std::nullopt;
  line.updates = updates->get<int64_t>();
  return line;
}

bool IsOfTheFuture(const Line& line, const LogPosition& position) {
  if (line.type == "footer") return true;
  if (line.type == "evaluation") return line.updates > position.evaluated_updates.value();
  return line.updates > position.updates.value();
}

// ---- Event files: what event_log.cpp writes, a field at a time.

uint64_t LittleEndian(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes.size(); ++i) value |= uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  return value;
}

// Takes a protocol-buffer varint from the front of `bytes`.
uint64_t TakeVarint(std::string_view& bytes) {
  uint64_t value = 0;
  for (int shift = 0; !bytes.empty() && shift < 64; shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= uint64_t{byte & 0x7Fu} << shift;
    if (byte < 0x80) break;
  }
  return value;
}

// The first field `number` of a message: an integer's value in `integer`, else its bytes in `content`.
struct Field {
  uint64_t integer = 0;
  std::string_view content;
};

std::optional<Field> FindField(std::string_view message, uint64_t number) {
  while (!message.empty()) {
    const uint64_t key = TakeVarint(message);
    Field field;
    size_t size = 0;
    switch (key & 7) {
      case 0:
        field.integer = TakeVarint(message);
        break;
      case 1:
        size = 8;
        break;
      case 2:
        size = TakeVarint(message);
        break;
      case 5:
        size = 4;
        break;
      default:
        return std::nullopt;
    }
    if (size > message.size()) return std::nullopt;
    field.content = message.substr(0, size);
    message.remove_prefix(size);
    if (key >> 3 == number) return field;
  }
  return std::nullopt;
}

// Event: step = 2, summary = 5; Summary: value = 1; Value: tag = 1.
bool IsOfTheFuture(std::string_view event, int64_t last_step, int64_t last_evaluated_step) {
  const auto step = FindField(event, 2);
  const auto summary = FindField(event, 5);
  if (!step || !summary) return false;  // the version of the format
  const auto value = FindField(summary->content, 1);
  const auto tag = value ? FindField(value->content, 1) : std::nullopt;
  const bool is_evaluation = tag && tag->content.starts_with("test/");
  return static_cast<int64_t>(step->integer) > (is_evaluation ? last_evaluated_step : last_step);
}

void CutEventFile(const fs::path& path, int64_t last_step, int64_t last_evaluated_step) {
  constexpr size_t kLengthAndCheck = 12;
  constexpr size_t kCheck = 4;
  const std::string bytes = ReadFile(path);
  size_t kept = 0;
  while (bytes.size() - kept >= kLengthAndCheck + kCheck) {
    const std::string_view rest = std::string_view(bytes).substr(kept);
    const uint64_t length = LittleEndian(rest.substr(0, 8));
    if (length > rest.size() - kLengthAndCheck - kCheck) break;
    const std::string_view event = rest.substr(kLengthAndCheck, length);
    if (FrameTfRecord(event) != rest.substr(0, kLengthAndCheck + length + kCheck)) break;  // damaged
    if (IsOfTheFuture(event, last_step, last_evaluated_step)) break;
    kept += kLengthAndCheck + length + kCheck;
  }
  Truncate(path, kept, bytes.size());
}

void CutEventFolder(const fs::path& folder, int64_t last_step, int64_t last_evaluated_step) {
  if (!fs::is_directory(folder)) return;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename().string().find("tfevents") == std::string::npos) continue;
    CutEventFile(entry.path(), last_step, last_evaluated_step);
  }
}

}  // namespace

RunLogCut CutRunLog(const fs::path& path, const LogPosition& position) {
  if (!fs::exists(path)) return {false, fmt::format("{} is missing; a new log begins here", path.string())};
  const std::string text = ReadFile(path);
  RunLogCut cut;
  size_t kept = 0;
  for (int64_t number = 1;; ++number) {
    const size_t newline = text.find('\n', kept);
    if (newline == std::string::npos) break;  // the end, or a line that was being written
    const std::optional<Line> line = ParseLine(std::string_view(text).substr(kept, newline - kept));
    if (!line || (line->type == "header") != (number == 1)) {
      cut.warning =
          fmt::format("{}: line {} is not a record; it and what stood behind it were cut off", path.string(), number);
      break;
    }
    if (number > 1 && IsOfTheFuture(*line, position)) break;
    cut.has_header = true;
    kept = newline + 1;
  }
  if (!cut.has_header && cut.warning.empty()) {
    cut.warning = fmt::format("{} holds no header; a new log begins here", path.string());
  }
  Truncate(path, kept, text.size());
  return cut;
}

void CutEventLog(const fs::path& folder, const LogPosition& position) {
  CutEventFolder(folder / "by_examples", position.examples.value(), position.evaluated_examples.value());
  CutEventFolder(folder / "by_updates", position.updates.value(), position.evaluated_updates.value());
}

}  // namespace crescendo::report
