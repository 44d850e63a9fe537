// How much memory a device has left, and how much a piece of work took: for decisions before a run, as the micro-batch.
//
//   PeakMemory peak(device);
//   ... forward and backward of 128 examples ...
//   if (2 * peak.Rise() < FreeMemoryBytes(device)) ... 256 will fit
#pragma once

#include <c10/core/Device.h>

#include <cstdint>

namespace crescendo::device {

// What tensors may still take: what the system says is free (machine.h), and what is kept for reuse and not in use.
int64_t FreeMemoryBytes(c10::Device device);

// Gives the system what is kept and not in use.
void ReleaseKeptMemory(c10::Device device);

// The most memory in use at one time since it was made, beyond what was in use then. One at a time per device.
//
// On the CPU without kept memory (cpu_allocator.h) only the size of the whole process is known, and its peak cannot be
// forgotten: Rise is then too large where more was in use earlier.
class PeakMemory {
 public:
  explicit PeakMemory(c10::Device device);
  int64_t Rise() const;  // bytes

 private:
  c10::Device device_;
  int64_t before_;
};

}  // namespace crescendo::device
