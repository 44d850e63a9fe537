#include "crescendo/report/event_reader.h"

#include <optional>

#include "crescendo/report/event_log.h"

namespace crescendo::report {
namespace {

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

// The first field `number` of a message: an integer's value, or its bytes.
struct Field {
  uint64_t integer = 0;
  std::string_view content;
};

std::optional<Field> FindField(std::string_view message, uint64_t number) {
  while (!message.empty()) {
    const uint64_t key = TakeVarint(message);
    Field field;
    uint64_t size = 0;
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

// Event: step = 2, summary = 5; Summary: value = 1; Value: tag = 1. Nothing for the version of the format, the first
// record of a file.
std::optional<ScalarEvent> ParseScalar(std::string_view event) {
  const auto step = FindField(event, 2);
  const auto summary = FindField(event, 5);
  const auto value = summary ? FindField(summary->content, 1) : std::nullopt;
  const auto tag = value ? FindField(value->content, 1) : std::nullopt;
  if (!step || !tag) return std::nullopt;
  return ScalarEvent{std::string(tag->content), static_cast<int64_t>(step->integer), 0};
}

}  // namespace

EventFileContent ParseEventFile(std::string_view bytes) {
  constexpr size_t kLengthAndCheck = 12;
  constexpr size_t kCheck = 4;
  EventFileContent content;
  size_t& offset = content.readable_bytes;
  while (bytes.size() - offset >= kLengthAndCheck + kCheck) {
    const std::string_view rest = bytes.substr(offset);
    const uint64_t length = LittleEndian(rest.substr(0, 8));
    if (length > rest.size() - kLengthAndCheck - kCheck) break;
    const std::string_view event = rest.substr(kLengthAndCheck, length);
    if (FrameTfRecord(event) != rest.substr(0, kLengthAndCheck + length + kCheck)) break;
    if (auto scalar = ParseScalar(event)) {
      scalar->offset = offset;
      content.scalars.push_back(*scalar);
    }
    offset += kLengthAndCheck + length + kCheck;
  }
  return content;
}

}  // namespace crescendo::report
