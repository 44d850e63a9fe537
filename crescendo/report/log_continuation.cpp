#include "crescendo/report/log_continuation.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "crescendo/report/event_log.h"
#include "crescendo/report/event_reader.h"

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

bool IsOfTheFuture(const ScalarEvent& event, int64_t last_step, int64_t last_evaluated_step) {
  return event.step > (event.tag.starts_with("test/") ? last_evaluated_step : last_step);
}

void CutEventFile(const fs::path& path, int64_t last_step, int64_t last_evaluated_step) {
  const std::string bytes = ReadFile(path);
  const EventFileContent content = ParseEventFile(bytes);
  size_t kept = content.readable_bytes;
  for (const ScalarEvent& event : content.scalars) {
    if (!IsOfTheFuture(event, last_step, last_evaluated_step)) continue;
    kept = event.offset;
    break;
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
      const fs::path whole = path.string() + ".damaged";
      WriteFileAtomically(whole, text);
      cut.warning =
          fmt::format("{}: line {} is not a record; it and what stood behind it were cut off, {} is the log as it was",
                      path.string(), number, whole.string());
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
  CutEventFolder(folder / kEventFolders[0], position.examples.value(), position.evaluated_examples.value());
  CutEventFolder(folder / kEventFolders[1], position.updates.value(), position.evaluated_updates.value());
}

}  // namespace crescendo::report
