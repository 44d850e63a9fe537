#include "crescendo/config/digest.h"

#include <fmt/format.h>

#include <cstdint>
#include <string_view>
#include <type_traits>

#include "crescendo/base/file.h"
#include "crescendo/config/difference.h"
#include "crescendo/config/fields.h"

namespace crescendo::config {
namespace {

uint64_t Fnv1a(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  return hash;
}

std::string Hexadecimal(uint64_t hash) { return fmt::format("{:016x}", hash); }

}  // namespace

std::map<std::string, std::string> LearnedSettings(const Options& options) {
  std::map<std::string, std::string> settings = SettingsOf(options);
  std::erase_if(settings, [](const auto& setting) { return EffectOf(setting.first) != Effect::kRun; });
  return settings;
}

std::string LearnedText(const Options& options) {
  Options by_content = options;
  VisitFields(by_content, [](const std::string&, auto& value, const Description& description) {
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>) {
      if (description.is_file && !value.empty()) value = Hexadecimal(Fnv1a(ReadFile(value)));
    }
  });
  std::string text;
  for (const auto& [key, value] : LearnedSettings(by_content)) text += fmt::format("{} = {}\n", key, value);
  return text;
}

std::string Digest(const Options& options) { return Hexadecimal(Fnv1a(LearnedText(options))); }

}  // namespace crescendo::config
