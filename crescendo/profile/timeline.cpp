#include "crescendo/profile/timeline.h"

#include <c10/core/impl/VirtualGuardImpl.h>

namespace crescendo::profile {

size_t Timeline::Mark() {
  if (device_.is_cpu()) {
    times_.push_back(std::chrono::steady_clock::now());
    return times_.size() - 1;
  }
  // PYTORCH_DEFAULT would make events without times.
  events_.emplace_back(device_.type(), c10::EventFlag::BACKEND_DEFAULT);
  events_.back().record(c10::impl::VirtualGuardImpl(device_.type()).getStream(device_));
  return events_.size() - 1;
}

std::vector<double> Timeline::Seconds() {
  std::vector<double> seconds;
  for (const auto& time : times_) seconds.push_back(std::chrono::duration<double>(time - times_.front()).count());
  if (!events_.empty()) events_.back().synchronize();
  for (const c10::Event& event : events_) {
    seconds.push_back(&event == &events_.front() ? 0 : 1e-3 * events_.front().elapsedTime(event));
  }
  return seconds;
}

}  // namespace crescendo::profile
