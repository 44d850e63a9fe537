#include "crescendo/profile/recorder.h"

#include <ATen/SequenceNumber.h>

#include <algorithm>
#include <atomic>

#include "crescendo/base/error.h"

namespace crescendo::profile {
namespace {

std::atomic<Recorder*> active = nullptr;  // LibTorch's callbacks are plain functions

}  // namespace

Recorder::Recorder(c10::Device device, Watch watch) : watch_(watch), timeline_(device) {
  CRESCENDO_ASSERT(active.exchange(this) == nullptr, "one recorder at a time");
  // Of this thread, and not global: the threads of the loader are not watched, and those of backward passes inherit it.
  scopes_ = at::addThreadLocalCallback(at::RecordFunctionCallback(Begin, End)
                                           .needsInputs(watch == Watch::kPartsAndLayers)
                                           .needsOutputs(watch == Watch::kPartsAndLayers)
                                           .scopes({at::RecordScope::USER_SCOPE}));
  if (watch == Watch::kPartsAndLayers) {
    nodes_ =
        at::addThreadLocalCallback(at::RecordFunctionCallback(Begin, End).scopes({at::RecordScope::BACKWARD_FUNCTION}));
  }
}

Recorder::~Recorder() {
  at::removeCallback(scopes_);
  if (watch_ == Watch::kPartsAndLayers) at::removeCallback(nodes_);
  active = nullptr;
}

void Recorder::Boundary() {
  const std::lock_guard lock(mutex_);
  boundaries_.push_back(timeline_.Mark());
}

std::unique_ptr<at::ObserverContext> Recorder::Begin(const at::RecordFunction& function) {
  Recorder& self = *active;
  const std::lock_guard lock(self.mutex_);
  std::unique_ptr<Event> event = self.EventOf(function);
  if (event) event->begin = self.timeline_.Mark();
  return event;
}

void Recorder::End(const at::RecordFunction& function, at::ObserverContext* context) {
  if (context == nullptr) return;
  Recorder& self = *active;
  const std::lock_guard lock(self.mutex_);
  auto& event = *static_cast<Event*>(context);
  event.end = self.timeline_.Mark();
  if (event.kind == Event::Kind::kLayer) {
    event.end_number = static_cast<int64_t>(at::sequence_number::peek());
    if (!function.outputs().empty()) {
      const at::Tensor& outputs = function.outputs().front().toTensor();
      event.output_bytes = static_cast<int64_t>(outputs.nbytes());
      event.output_elements = outputs.numel();
      self.layers_[event.index].output = outputs.sizes().vec();
    }
  }
  self.events_.push_back(std::move(event));
}

// Nothing for what does not count.
std::unique_ptr<Recorder::Event> Recorder::EventOf(const at::RecordFunction& function) {
  auto event = std::make_unique<Event>();
  if (function.scope() == at::RecordScope::BACKWARD_FUNCTION) {
    event->kind = Event::Kind::kNode;
    event->first_number = function.seqNr();
    return event;
  }
  const std::string name = function.name();
  if (function.seqNr() >= 0) {
    if (watch_ == Watch::kPartsOnly) return nullptr;
    const at::Tensor& inputs = function.inputs().front().toTensor();
    event->kind = Event::Kind::kLayer;
    event->index = LayerOf(name);
    event->first_number = function.seqNr();
    event->input_bytes = static_cast<int64_t>(inputs.nbytes());
    event->input_has_gradient = inputs.requires_grad();
    return event;
  }
  const auto part = std::find(kParts.begin(), kParts.end(), name);
  if (part == kParts.end()) return nullptr;
  event->index = static_cast<size_t>(part - kParts.begin());
  return event;
}

size_t Recorder::LayerOf(const std::string& name) {
  const auto found =
      std::find_if(layers_.begin(), layers_.end(), [&](const auto& layer) { return layer.name == name; });
  if (found != layers_.end()) return static_cast<size_t>(found - layers_.begin());
  layers_.emplace_back().name = name;
  return layers_.size() - 1;
}

Recording Recorder::Finish() {
  const std::lock_guard lock(mutex_);
  CRESCENDO_ASSERT(boundaries_.size() > 1, "an update has a begin and an end");
  const std::vector<double> seconds = timeline_.Seconds();
  Recording recording;
  recording.layers = layers_;
  for (size_t i = 1; i < boundaries_.size(); ++i) {
    recording.update_seconds.push_back(seconds[boundaries_[i]] - seconds[boundaries_[i - 1]]);
  }
  std::vector<Event> calls;  // of layers, in the order of their nodes' numbers
  for (const Event& event : events_) {
    if (event.begin > boundaries_.front() && event.end < boundaries_.back()) {
      if (event.kind == Event::Kind::kLayer) calls.push_back(event);
      if (event.kind != Event::Kind::kNode) AddTo(recording, event, seconds[event.end] - seconds[event.begin]);
    }
  }
  // Stable: of two calls with one number the first has made no node.
  std::stable_sort(calls.begin(), calls.end(),
                   [](const Event& a, const Event& b) { return a.first_number < b.first_number; });
  for (const Event& node : events_) {
    if (node.kind != Event::Kind::kNode) continue;
    const auto after = std::upper_bound(calls.begin(), calls.end(), node.first_number,
                                        [](int64_t number, const Event& call) { return number < call.first_number; });
    if (after == calls.begin() || node.first_number >= std::prev(after)->end_number) continue;
    recording.layers[std::prev(after)->index].backward_seconds += seconds[node.end] - seconds[node.begin];
  }
  return recording;
}

void Recorder::AddTo(Recording& recording, const Event& event, double seconds) const {
  if (event.kind == Event::Kind::kPart) {
    recording.part_seconds[event.index] += seconds;
    return;
  }
  RecordedLayer& layer = recording.layers[event.index];
  ++layer.calls;
  layer.forward_seconds += seconds;
  layer.input_bytes += event.input_bytes;
  layer.output_bytes += event.output_bytes;
  layer.output_elements += event.output_elements;
  if (event.input_has_gradient) {
    layer.input_gradient_bytes += event.input_bytes;
    layer.output_elements_with_input_gradient += event.output_elements;
  }
}

}  // namespace crescendo::profile
