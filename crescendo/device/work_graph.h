// GPU work that is the same every time, recorded once and then queued with one call, which takes a few microseconds
// where its hundreds of kernels take their launches' time.
//
//   const OwnStream stream(device);           // all that is recorded or replayed happens within one
//   WorkGraphs graphs(device);
//   const size_t graph = graphs.Record([&] { outputs = f(inputs); });   // not run yet
//   inputs.copy_(...);
//   graphs.Replay(graph);                     // outputs: f of what inputs hold now
//
// A replay reads and writes the memory that was used while recording: what goes in is copied there, what comes out has
// to be copied away before the next replay, of this graph or another. The work must not wait for the GPU, and must need
// nothing from the host's memory but what was there when it was recorded. CUDA graphs (CUDA C++ Programming Guide,
// "CUDA Graphs").
//
// On a CPU a replay is a call of the function: the same results, for tests of the code around it.
#pragma once

#include <c10/core/Device.h>

#include <cstddef>
#include <functional>
#include <memory>

namespace crescendo::device {

// While it lives, this thread's GPU work goes to a stream other than the default one, which cannot be recorded. Waits
// for the device at both ends. On a CPU it does nothing.
class OwnStream {
 public:
  explicit OwnStream(c10::Device device);
  ~OwnStream();
  OwnStream(const OwnStream&) = delete;
  OwnStream& operator=(const OwnStream&) = delete;

 private:
  struct Guard;
  std::unique_ptr<Guard> guard_;
};

class WorkGraphs {
 public:
  explicit WorkGraphs(c10::Device device);
  ~WorkGraphs();
  WorkGraphs(const WorkGraphs&) = delete;
  WorkGraphs& operator=(const WorkGraphs&) = delete;

  // On a GPU calls `work` once, which computes nothing; on a CPU only a replay calls it. Returns the graph's number: 0,
  // 1, ... All graphs share the memory of what is temporary in them. c10::Error where something cannot be recorded, or
  // there is no memory for it.
  size_t Record(std::function<void()> work);

  void Replay(size_t graph);

  void Clear();  // forgets all graphs; numbers begin at 0 again

 private:
  struct Recorded;
  c10::Device device_;
  std::unique_ptr<Recorded> recorded_;
};

}  // namespace crescendo::device
