#include "crescendo/device/autocast.h"

#include <ATen/autocast_mode.h>

namespace crescendo::device {
namespace {

// The copies of the weights must not outlive the step that changes the weights.
void LeaveCasts() {
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
}

}  // namespace

Autocast::Autocast(c10::Device device, config::Precision precision)
    : device_(device.type()),
      was_enabled_(at::autocast::is_autocast_enabled(device_)),
      previous_type_(at::autocast::get_autocast_dtype(device_)) {
  at::autocast::increment_nesting();
  at::autocast::set_autocast_enabled(device_, precision == config::Precision::kBf16);
  at::autocast::set_autocast_dtype(device_, at::kBFloat16);
}

Autocast::~Autocast() {
  LeaveCasts();
  at::autocast::set_autocast_enabled(device_, was_enabled_);
  at::autocast::set_autocast_dtype(device_, previous_type_);
}

KeptCasts::KeptCasts() { at::autocast::increment_nesting(); }

KeptCasts::~KeptCasts() { LeaveCasts(); }

}  // namespace crescendo::device
