#include "crescendo/train/same_run.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <cstring>
#include <type_traits>
#include <vector>

#include "crescendo/base/error.h"
#include "crescendo/base/version.h"
#include "crescendo/config/describe.h"
#include "crescendo/config/difference.h"
#include "crescendo/config/load.h"
#include "crescendo/train/checkpoint.h"
#include "crescendo/train/digest.h"

namespace crescendo::train {
namespace {

std::string ProgramOf(at::Device device) {
  return fmt::format("crescendo {} {} for device type {}", Version(), Commit(),
                     c10::DeviceTypeName(device.type(), /*lower_case=*/true));
}

std::string DescriptionOf(const data::Dataset& dataset) {
  return fmt::format("{} examples of {} with SHA-256 {}", dataset.labels.size(0), dataset.name, DigestOf(dataset));
}

// Evaluations are made together. Threads may differ, as machines do.
bool MustAgree(const std::string& key) {
  return (config::EffectOf(key) != config::Effect::kNothing && key != "run.threads") || key == "run.evaluate_every";
}

// "" where this worker agrees with worker 0.
std::string DifferenceFromWorker0(distributed::Group& group, const config::Options& options, at::Device device,
                                  const data::DatasetPair& data) {
  std::string found;
  // Every worker hears all that worker 0 says, whatever it has found by then.
  const auto compare = [&](const std::string& own) {
    const std::string first = group.BroadcastText(own);
    if (own != first && found.empty()) found = fmt::format("{}, worker 0 with {}", own, first);
  };
  compare(ProgramOf(device));
  const std::string first = group.BroadcastText(config::ToToml(options));
  const config::Options of_worker_0 = config::LoadText(first, "the config of worker 0");
  for (const config::Difference& difference : config::DifferencesBetween(of_worker_0, options)) {
    if (!found.empty() || !MustAgree(difference.key)) continue;
    // What only one of them has in use follows from another option in which they differ.
    if (difference.before.empty() || difference.after.empty()) continue;
    found = fmt::format("{} = {}, worker 0 with {}", difference.key, difference.after, difference.before);
  }
  compare(DescriptionOf(data.train));  // after the options, which decide what synthetic data are
  compare(DescriptionOf(data.test));
  return found;
}

}  // namespace

void RequireSameRun(distributed::Group& group, const config::Options& options, at::Device device,
                    const data::DatasetPair& data) {
  if (group.size() == 1) return;
  const std::string difference = DifferenceFromWorker0(group, options, device, data);
  if (!difference.empty()) throw UserError(fmt::format("worker {} was started with {}", group.rank(), difference));
  group.Barrier();  // nobody begins before all are known to be the same
}

RunPosition ShareState(Parts& parts, RunPosition position) {
  if (parts.group->size() == 1) return position;
  for (const nn::NamedTensor& tensor : TensorsOf(parts)) parts.group->Broadcast(tensor.value.detach());
  // All workers are the same program, so a position has the same bytes in all of them.
  static_assert(std::is_trivially_copyable_v<RunPosition>);
  const std::string bytes = parts.group->BroadcastText({reinterpret_cast<const char*>(&position), sizeof(position)});
  std::memcpy(&position, bytes.data(), sizeof(position));
  return position;
}

}  // namespace crescendo::train
