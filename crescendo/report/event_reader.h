// Reads the TensorBoard event files that event_log.h writes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace crescendo::report {

struct ScalarEvent {
  std::string tag;
  int64_t step = 0;
  size_t offset = 0;  // where its record begins in the file
};

struct EventFileContent {
  std::vector<ScalarEvent> scalars;
  size_t readable_bytes = 0;  // up to the first record that is cut off or damaged; the file's size where all is well
};

EventFileContent ParseEventFile(std::string_view bytes);

}  // namespace crescendo::report
