// Measures the parts of updates and the layers of a network while they are trained, through the scopes that the trainer
// and the layers open (device/profile_scope.h). What is trained does not notice.
//
//   Recorder recorder(device, Recorder::Watch::kPartsAndLayers);
//   ... warm-up updates ...
//   recorder.Boundary();                    // the first update that counts begins
//   for (...) { ... update ...; recorder.Boundary(); }
//   const Recording recording = recorder.Finish();
//
// A node of the backward pass belongs to the layer in whose forward pass it was made: autograd numbers its nodes in the
// order they are made, and a layer knows the numbers at its begin and end.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/record_function.h>

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "crescendo/profile/timeline.h"

namespace crescendo::profile {

// The scopes of the trainer that make up an update; no two of them at the same time.
inline constexpr std::array<const char*, 5> kParts = {"data", "forward", "backward", "reduce", "optimizer"};
inline constexpr size_t kForward = 1;
inline constexpr size_t kBackward = 2;

// Totals over all calls.
struct RecordedLayer {
  std::string name;
  int64_t calls = 0;
  double forward_seconds = 0;
  double backward_seconds = 0;
  int64_t input_bytes = 0;
  int64_t input_gradient_bytes = 0;  // of inputs that need a gradient
  int64_t output_bytes = 0;
  int64_t output_elements = 0;
  int64_t output_elements_with_input_gradient = 0;  // of calls whose inputs need a gradient
  std::vector<int64_t> output;                      // the shape at the last call
};

struct Recording {
  std::vector<double> update_seconds;                // of each update, from boundary to boundary
  std::array<double, kParts.size()> part_seconds{};  // totals
  std::vector<RecordedLayer> layers;                 // as they were first called; none with Watch::kPartsOnly
};

class Recorder {
 public:
  enum class Watch { kPartsOnly, kPartsAndLayers };

  // From now on sees what this thread does, and the backward passes it begins. One at a time.
  Recorder(c10::Device device, Watch watch);
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // An update ends here, and the next begins. What comes before the first boundary or after the last does not count.
  void Boundary();

  // Waits for the device. REQUIRES two boundaries.
  Recording Finish();

 private:
  struct Event : at::ObserverContext {
    enum class Kind { kPart, kLayer, kNode } kind = Kind::kPart;
    size_t index = 0;  // of a part or a layer
    size_t begin = 0;  // marks
    size_t end = 0;
    int64_t first_number = 0;  // of a node; of a layer's nodes, and the number after its last
    int64_t end_number = 0;
    int64_t input_bytes = 0;
    bool input_has_gradient = false;
    int64_t output_bytes = 0;
    int64_t output_elements = 0;
  };

  static std::unique_ptr<at::ObserverContext> Begin(const at::RecordFunction& function);
  static void End(const at::RecordFunction& function, at::ObserverContext* context);
  std::unique_ptr<Event> EventOf(const at::RecordFunction& function);
  size_t LayerOf(const std::string& name);
  void AddTo(Recording& recording, const Event& event, double seconds) const;

  Watch watch_;
  at::CallbackHandle scopes_;
  at::CallbackHandle nodes_ = 0;

  std::mutex mutex_;  // the backward pass of a GPU has a thread of its own
  Timeline timeline_;
  std::vector<size_t> boundaries_;
  std::vector<Event> events_;
  std::vector<RecordedLayer> layers_;
};

}  // namespace crescendo::profile
