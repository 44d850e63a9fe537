#include "crescendo/profile/roofline.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>

#include <algorithm>
#include <cmath>

#include "crescendo/profile/timeline.h"

namespace crescendo::profile {
namespace {

constexpr double kSeconds = 0.25;      // of repetitions, for each of the two
constexpr double kLongEnough = 0.005;  // seconds of a product, which the time to start it is then nothing against

template <class Work>
double SecondsOf(c10::Device device, const Work& work) {
  Timeline timeline(device);
  timeline.Mark();
  work();
  timeline.Mark();
  return timeline.Seconds().back();
}

template <class Work>
double FastestOf(c10::Device device, const Work& work) {
  double fastest = HUGE_VAL;
  for (double spent = 0; spent < kSeconds;) {
    const double seconds = SecondsOf(device, work);
    fastest = std::min(fastest, seconds);
    spent += seconds;
  }
  return fastest;
}

double MeasureProduct(c10::Device device, at::ScalarType type) {
  for (int64_t size = 1024;; size *= 2) {
    const at::Tensor a = at::ones({size, size}, at::TensorOptions(device).dtype(type));
    const at::Tensor b = at::ones({size, size}, a.options());
    const auto product = [&] { (void)at::mm(a, b); };
    product();
    if (size < 16'384 && SecondsOf(device, product) < kLongEnough) continue;
    return 2.0 * std::pow(static_cast<double>(size), 3) / FastestOf(device, product);
  }
}

double MeasureCopy(c10::Device device) {
  // Beyond the caches of any processor; a GPU's memory is ten times as fast and holds more.
  const int64_t bytes = int64_t{device.is_cpu() ? 256 : 1024} << 20;
  const at::Tensor from = at::ones({bytes / 4}, at::TensorOptions(device).dtype(at::kFloat));
  const at::Tensor to = at::ones_like(from);
  return 2.0 * static_cast<double>(bytes) / FastestOf(device, [&] { to.copy_(from); });
}

}  // namespace

report::Roofline MeasureRoofline(c10::Device device, config::Precision precision) {
  const at::NoGradGuard no_gradients;
  const at::ScalarType type = precision == config::Precision::kBf16 ? at::kBFloat16 : at::kFloat;
  return {MeasureProduct(device, type), MeasureCopy(device)};
}

}  // namespace crescendo::profile
