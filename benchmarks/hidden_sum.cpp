// How much of the sum of the gradients is hidden behind the backward pass that it runs beside.
//
//   hidden_sum BATCH ROUNDS      as one of several workers, which the environment names (distributed/worker_place.h)
//
// WRN-16-4 on images of noise, one thread and BATCH images a worker. In turns, from a barrier to a barrier:
//   alone   a backward pass
//   after   a backward pass, and then the sums
//   during  the sums while it runs, as training does it
// Worker 0 prints the median milliseconds of each, and the share hidden: (after - during) / (after - alone).
#include <ATen/Parallel.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <iostream>
#include <string>
#include <vector>

#include "crescendo/base/error.h"
#include "crescendo/device/cpu_allocator.h"
#include "crescendo/distributed/c10d_group.h"
#include "crescendo/distributed/gradient_buckets.h"
#include "crescendo/nn/loss.h"
#include "crescendo/nn/registry.h"

namespace crescendo::benchmarks {
namespace {

enum Way { kAlone, kAfter, kDuring };

double Median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

void Measure(distributed::Group& group, int64_t batch, int64_t rounds) {
  config::ModelOptions options;
  options.name = config::ModelName::kWideResNet;
  options.depth = 16;
  options.width = 4;
  const std::unique_ptr<nn::Model> model = nn::BuildModel(options, {3, 32, 32}, 10, /*seed=*/1);
  std::vector<at::Tensor> parameters;
  for (const nn::NamedTensor& parameter : model->parameters()) parameters.push_back(parameter.value);
  distributed::GradientBuckets gradients(group, parameters);
  const at::Tensor images = at::randn({batch, 3, 32, 32});
  const at::Tensor labels = at::randint(10, {batch}, at::kLong);

  std::array<std::vector<double>, 3> milliseconds;
  for (int64_t round = -1; round < rounds; ++round) {  // the first warms up
    for (const Way way : {kAlone, kAfter, kDuring}) {
      const at::Tensor loss = nn::SummedCrossEntropy(model->Forward(images, {batch}), labels);
      group.Barrier();
      const auto begin = std::chrono::steady_clock::now();
      if (way == kDuring) gradients.ExpectLastBackward();
      loss.backward(at::full({}, 1 / static_cast<double>(batch * group.size())));
      if (way != kAlone) gradients.Finish();
      group.Barrier();
      const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
      if (round >= 0) milliseconds[way].push_back(took.count());
      for (at::Tensor& parameter : parameters) parameter.mutable_grad() = at::Tensor();
    }
  }
  if (group.rank() != 0) return;
  const double alone = Median(milliseconds[kAlone]);
  const double after = Median(milliseconds[kAfter]);
  const double during = Median(milliseconds[kDuring]);
  std::cout << fmt::format(
      "backward of {} images alone {:.1f} ms, then sums {:.1f} ms, sums meanwhile {:.1f} ms: {:.0f} % of the sums "
      "hidden\n",
      batch, alone, after, during, 100 * (after - during) / (after - alone));
}

}  // namespace
}  // namespace crescendo::benchmarks

int main(int argc, char** argv) {
  using namespace crescendo;  // NOLINT(google-build-using-namespace): a program
  try {
    if (argc != 3) throw UserError("usage: hidden_sum BATCH ROUNDS, as one of several workers (benchmarks/measure.py)");
    device::InstallCachingCpuAllocator();
    at::set_num_threads(1);
    const auto group = distributed::JoinGroup(distributed::FindPlace(distributed::SystemEnvironment), at::kCPU,
                                              std::chrono::minutes(1), std::chrono::minutes(1));
    benchmarks::Measure(*group, std::stoll(argv[1]), std::stoll(argv[2]));
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "hidden_sum: " << error.what() << '\n';
    return 1;
  }
}
