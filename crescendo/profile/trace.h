// Every operator, and on a GPU every kernel, in Chrome's trace format: for chrome://tracing or ui.perfetto.dev. Made by
// LibTorch's profiler.
#pragma once

#include <c10/core/Device.h>

#include <string>

namespace crescendo::profile {

// From BeginTrace to EndTrace all that this thread does is written down, and the backward passes it begins. Nothing
// else in the process may use LibTorch's profiler meanwhile. EndTrace gives the trace, a JSON object.
void BeginTrace(c10::Device device);
std::string EndTrace();

}  // namespace crescendo::profile
