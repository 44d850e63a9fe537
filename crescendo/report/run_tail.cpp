#include "crescendo/report/run_tail.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

namespace crescendo::report {
namespace {

using Json = nlohmann::json;

constexpr std::streamoff kTailBytes = 16'384;  // dozens of updates, or the longest reason

std::string LastBytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return "";
  const std::streamoff size = file.tellg();
  file.seekg(std::max<std::streamoff>(0, size - kTailBytes));
  std::string bytes(static_cast<size_t>(std::min(size, kTailBytes)), '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

void ReadFooter(const Json& line, RunTail& tail) {
  tail.end = ParseEnum<RunEnd>(line.value("end", ""));
  tail.reason = line.value("reason", "");
  tail.seconds = line.value("total_seconds", 0.0);
  tail.train_seconds = line.value("train_seconds", 0.0);
  const auto evaluation = line.find("final_evaluation");
  if (tail.end == RunEnd::kFinished && evaluation != line.end() && evaluation->is_object()) {
    const auto accuracy = evaluation->find("test_accuracy");
    if (accuracy != evaluation->end() && accuracy->is_number()) tail.accuracy = *accuracy;
  }
}

}  // namespace

std::optional<RunTail> ReadRunTail(const std::filesystem::path& path) {
  const std::string text = LastBytes(path);
  for (size_t end = text.rfind('\n'); end != std::string::npos;) {
    const size_t before = end == 0 ? std::string::npos : text.rfind('\n', end - 1);
    const size_t begin = before == std::string::npos ? 0 : before + 1;
    const Json line = Json::parse(text.substr(begin, end - begin), nullptr, /*allow_exceptions=*/false);
    if (line.is_object() && line.contains("examples")) {
      RunTail tail;
      tail.examples = line["examples"];
      if (line.value("type", "") == "footer") ReadFooter(line, tail);
      return tail;
    }
    end = before;
  }
  return std::nullopt;
}

}  // namespace crescendo::report
