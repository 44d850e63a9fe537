// When things happened on a device: on the CPU, by its clock; on a GPU, by events in the stream of work, since the
// program only hands it work and runs ahead.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/Event.h>

#include <chrono>
#include <vector>

namespace crescendo::profile {

// Not for use by two threads at a time.
class Timeline {
 public:
  explicit Timeline(c10::Device device) : device_(device) {}

  // Now, after all work that this thread has given to the device so far; returns the number of the mark, from 0.
  size_t Mark();

  // Of each mark, since the first. Waits until the device has come to the last.
  std::vector<double> Seconds();

 private:
  c10::Device device_;
  std::vector<std::chrono::steady_clock::time_point> times_;  // on the CPU
  std::vector<c10::Event> events_;                            // elsewhere
};

}  // namespace crescendo::profile
