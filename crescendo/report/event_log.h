// TensorBoard event files of a run, on both axes: <folder>/by_examples, whose steps are examples seen, and
// <folder>/by_updates.
//
//   EventLog events(run_folder / "events");
//   events.Update(record); events.Evaluation(record); events.Flush();
//   $ tensorboard --logdir runs/
//
// Two schedules are compared by examples: at equal updates they are at different places of the training. By updates
// shows the saving.
//
// An event file is a sequence of TFRecords (a length, its masked CRC-32C, bytes, their masked CRC-32C), each a protobuf
// message tensorflow.Event (tensorflow/core/util/event.proto); the first holds the version of the format. The few
// fields in use are encoded by hand. Values are stored as 32-bit floats: run.jsonl is the exact record.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "crescendo/report/record.h"

namespace crescendo::report {

// CRC-32C (Castagnoli, RFC 3720 section 12.1).
uint32_t Crc32c(std::string_view bytes);

// A record of a TFRecord file.
std::string FrameTfRecord(std::string_view bytes);

struct Scalar {
  std::string_view tag;
  double value = 0;
};

// One event file.
class EventFile {
 public:
  // Creates the folder and in it a file of its own. RunError, naming the file and the reason, if that or a later write
  // fails.
  explicit EventFile(const std::filesystem::path& folder);

  void Scalars(int64_t step, std::span<const Scalar> scalars);  // one event
  void Flush();

 private:
  void Write(std::string_view event);
  [[noreturn]] void Fail() const;

  std::filesystem::path path_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
};

// The folders of an EventLog, by what its steps count.
inline constexpr std::array<const char*, 2> kEventFolders = {"by_examples", "by_updates"};

// The files that EventLogs of any process have left in `folder`. Those of other writers are not among them.
std::vector<std::filesystem::path> EventFilesIn(const std::filesystem::path& folder);

class EventLog {
 public:
  explicit EventLog(const std::filesystem::path& folder);

  // train/loss, train/images_per_second, schedule/learning_rate, schedule/global_batch, schedule/noise_scale. Flushes
  // every few seconds.
  void Update(const UpdateRecord& record);
  // test/accuracy, test/loss. Flushes.
  void Evaluation(const EvaluationRecord& record);
  void Flush();

 private:
  void Write(schedule::Examples examples, schedule::Updates updates, std::span<const Scalar> scalars);

  EventFile by_examples_;
  EventFile by_updates_;
  std::chrono::steady_clock::time_point flushed_;
};

}  // namespace crescendo::report
