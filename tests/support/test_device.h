// Where the tests run that hold a GPU to what the CPU gives: CRESCENDO_TEST_DEVICE=cuda (scripts/gpu_check.sh sets it),
// else the CPU.
#pragma once

#include <c10/core/Device.h>

#include <cstdlib>
#include <string>

namespace crescendo::support {

inline std::string TestDeviceName() {
  const char* name = std::getenv("CRESCENDO_TEST_DEVICE");
  return name != nullptr && *name != '\0' ? name : "cpu";
}

inline c10::Device TestDevice() { return TestDeviceName() == "cpu" ? c10::Device("cpu") : c10::Device("cuda:0"); }

// A tolerance for sums in another order. cuDNN also takes other algorithms for other sizes, so a GPU has ten times as
// much.
inline double Rounding(double on_cpu) { return TestDevice().is_cpu() ? on_cpu : 10 * on_cpu; }

}  // namespace crescendo::support
