#include "crescendo/report/event_log.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "crescendo/base/error.h"

namespace crescendo::report {
namespace {

constexpr auto kFlushInterval = std::chrono::seconds(5);

// The reflected polynomial of CRC-32C, a byte at a time.
constexpr std::array<uint32_t, 256> MakeCrcTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78u : 0u);
    table[byte] = crc;
  }
  return table;
}

constexpr std::array<uint32_t, 256> kCrcTable = MakeCrcTable();

// TFRecord stores this, because the CRC of bytes that hold their own CRC is a constant.
uint32_t MaskedCrc(std::string_view bytes) { return std::rotr(Crc32c(bytes), 15) + 0xA282EAD8u; }

template <class Word>
void AppendLittleEndian(std::string& bytes, Word word) {
  for (size_t i = 0; i < sizeof word; ++i) bytes += static_cast<char>(static_cast<unsigned char>(word >> (8 * i)));
}

// Protocol-buffer fields: a key, field number and wire type in one varint, then the value.
// https://protobuf.dev/programming-guides/encoding

void AppendVarint(std::string& bytes, uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(static_cast<unsigned char>(value | 0x80));
  bytes += static_cast<char>(value);
}

void AppendInteger(std::string& bytes, uint64_t number, int64_t value) {
  AppendVarint(bytes, number << 3);
  AppendVarint(bytes, static_cast<uint64_t>(value));
}

void AppendDouble(std::string& bytes, uint64_t number, double value) {
  AppendVarint(bytes, number << 3 | 1);
  AppendLittleEndian(bytes, std::bit_cast<uint64_t>(value));
}

void AppendBytes(std::string& bytes, uint64_t number, std::string_view content) {
  AppendVarint(bytes, number << 3 | 2);
  AppendVarint(bytes, content.size());
  bytes += content;
}

void AppendFloat(std::string& bytes, uint64_t number, float value) {
  AppendVarint(bytes, number << 3 | 5);
  AppendLittleEndian(bytes, std::bit_cast<uint32_t>(value));
}

// The fields of tensorflow.Event, Summary and Summary.Value in use.
constexpr uint64_t kEventWallTime = 1;
constexpr uint64_t kEventStep = 2;
constexpr uint64_t kEventFileVersion = 3;
constexpr uint64_t kEventSummary = 5;
constexpr uint64_t kSummaryValue = 1;
constexpr uint64_t kValueTag = 1;
constexpr uint64_t kValueSimpleValue = 2;

double WallTime() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

constexpr std::string_view kNameBegin = "events.out.tfevents.";
constexpr std::string_view kNameWriter = ".crescendo.";

// TensorBoard knows an event file by "tfevents" and reads the files of a folder in the order of their names: the time,
// which for a run that is resumed within a second must go on too. The rest keeps two writers apart.
std::filesystem::path NewEventPath(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw RunError(fmt::format("cannot make the folder {}: {}", folder.string(), error.message()));
  auto seconds = static_cast<int64_t>(WallTime());
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    long long taken = 0;
    const std::string name = entry.path().filename().string();
    if (std::sscanf(name.c_str(), "events.out.tfevents.%lld.", &taken) == 1) {
      seconds = std::max(seconds, static_cast<int64_t>(taken) + 1);
    }
  }
  std::filesystem::path path;
  int64_t count = 0;
  do {
    path = folder / fmt::format("{}{:010}{}{}.{}", kNameBegin, seconds, kNameWriter, getpid(), count++);
  } while (std::filesystem::exists(path));
  return path;
}

}  // namespace

uint32_t Crc32c(std::string_view bytes) {
  uint32_t crc = 0xFFFFFFFFu;
  for (const char c : bytes) crc = (crc >> 8) ^ kCrcTable[(crc ^ static_cast<unsigned char>(c)) & 0xFF];
  return ~crc;
}

std::string FrameTfRecord(std::string_view bytes) {
  std::string record;
  record.reserve(bytes.size() + 16);
  AppendLittleEndian(record, static_cast<uint64_t>(bytes.size()));
  AppendLittleEndian(record, MaskedCrc(record));
  record += bytes;
  AppendLittleEndian(record, MaskedCrc(bytes));
  return record;
}

EventFile::EventFile(const std::filesystem::path& folder)
    : path_(NewEventPath(folder)), file_(std::fopen(path_.c_str(), "wbe"), &std::fclose) {
  if (!file_) Fail();
  std::string event;
  AppendDouble(event, kEventWallTime, WallTime());
  AppendBytes(event, kEventFileVersion, "brain.Event:2");
  Write(event);
  Flush();
}

void EventFile::Scalars(int64_t step, std::span<const Scalar> scalars) {
  std::string summary;
  for (const Scalar& scalar : scalars) {
    std::string value;
    AppendBytes(value, kValueTag, scalar.tag);
    AppendFloat(value, kValueSimpleValue, static_cast<float>(scalar.value));
    AppendBytes(summary, kSummaryValue, value);
  }
  std::string event;
  AppendDouble(event, kEventWallTime, WallTime());
  AppendInteger(event, kEventStep, step);
  AppendBytes(event, kEventSummary, summary);
  Write(event);
}

void EventFile::Write(std::string_view event) {
  const std::string record = FrameTfRecord(event);
  if (std::fwrite(record.data(), 1, record.size(), file_.get()) != record.size()) Fail();
}

void EventFile::Flush() {
  if (std::fflush(file_.get()) != 0) Fail();
}

void EventFile::Fail() const {
  throw RunError(fmt::format("cannot write {}: {}", path_.string(), std::strerror(errno)));
}

std::vector<std::filesystem::path> EventFilesIn(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const char* kind : kEventFolders) {
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(folder / kind, none)) {
      const std::string name = entry.path().filename().string();
      const bool is_ours = name.starts_with(kNameBegin) && name.find(kNameWriter) != name.npos;
      if (is_ours && !entry.is_directory(none)) files.push_back(entry.path());
    }
  }
  return files;
}

EventLog::EventLog(const std::filesystem::path& folder)
    : by_examples_(folder / kEventFolders[0]), by_updates_(folder / kEventFolders[1]) {}

void EventLog::Update(const UpdateRecord& record) {
  const schedule::Setting& setting = record.setting;
  const std::array<Scalar, 5> scalars = {{{"train/loss", record.loss},
                                          {"train/images_per_second", record.examples_per_second},
                                          {"schedule/learning_rate", setting.learning_rate},
                                          {"schedule/global_batch", static_cast<double>(setting.global_batch.value())},
                                          {"schedule/noise_scale", setting.noise_scale}}};
  Write(setting.end, setting.update + schedule::Updates{1}, scalars);
  if (std::chrono::steady_clock::now() - flushed_ >= kFlushInterval) Flush();
}

void EventLog::Evaluation(const EvaluationRecord& record) {
  const std::array<Scalar, 2> scalars = {{{"test/accuracy", record.accuracy}, {"test/loss", record.loss}}};
  Write(record.examples, record.updates, scalars);
  Flush();
}

void EventLog::Flush() {
  by_examples_.Flush();
  by_updates_.Flush();
  flushed_ = std::chrono::steady_clock::now();
}

void EventLog::Write(schedule::Examples examples, schedule::Updates updates, std::span<const Scalar> scalars) {
  by_examples_.Scalars(examples.value(), scalars);
  by_updates_.Scalars(updates.value(), scalars);
}

}  // namespace crescendo::report
