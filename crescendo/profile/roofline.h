// What this machine reaches, measured with the threads and the precision of a run: the bounds that its layers are held
// against.
#pragma once

#include <c10/core/Device.h>

#include "crescendo/config/choices.h"
#include "crescendo/report/profile.h"

namespace crescendo::profile {

// Takes about half a second: the fastest of repeated products of square matrices, and of repeated copies of memory that
// no cache holds, which read and write each byte once. On the CPU with the threads of device::SetThreads.
report::Roofline MeasureRoofline(c10::Device device, config::Precision precision);

}  // namespace crescendo::profile
