#include "crescendo/report/event_reader.h"

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

// A field of a message: an integer's value, or its bytes.
struct Field {
  uint64_t number = 0;
  uint64_t integer = 0;
  std::string_view content;
};

// The fields of a message, up to the first that is cut off.
std::vector<Field> FieldsOf(std::string_view message) {
  std::vector<Field> fields;
  while (!message.empty()) {
    const uint64_t key = TakeVarint(message);
    Field field;
    field.number = key >> 3;
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
        return fields;
    }
    if (size > message.size()) return fields;
    field.content = message.substr(0, size);
    message.remove_prefix(size);
    fields.push_back(field);
  }
  return fields;
}

// Event: step = 2, summary = 5; Summary: value = 1, repeated; Value: tag = 1. None in the first record of a file, the
// version of the format.
void AppendScalars(std::string_view event, size_t offset, std::vector<ScalarEvent>& scalars) {
  int64_t step = 0;
  for (const Field& field : FieldsOf(event)) {
    if (field.number == 2) step = static_cast<int64_t>(field.integer);
    if (field.number != 5) continue;
    for (const Field& value : FieldsOf(field.content)) {
      for (const Field& of_value : FieldsOf(value.content)) {
        if (of_value.number == 1) scalars.push_back({std::string(of_value.content), step, offset});
      }
    }
  }
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
    AppendScalars(event, offset, content.scalars);
    offset += kLengthAndCheck + length + kCheck;
  }
  return content;
}

}  // namespace crescendo::report
