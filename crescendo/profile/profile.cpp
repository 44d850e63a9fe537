#include "crescendo/profile/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "crescendo/base/error.h"
#include "crescendo/device/device.h"
#include "crescendo/profile/recorder.h"
#include "crescendo/profile/roofline.h"
#include "crescendo/profile/scratch_folder.h"
#include "crescendo/profile/trace.h"
#include "crescendo/schedule/planner.h"
#include "crescendo/train/archive.h"
#include "crescendo/train/micro_batch.h"
#include "crescendo/train/trainer.h"

namespace crescendo::profile {
namespace {

using schedule::Examples;

constexpr double kLearningRate = 1e-9;
constexpr double kSecondsToMeasure = 3;
constexpr int64_t kMostUpdates = 10'000;
constexpr int64_t kMostTracedUpdates =
    20;  // a trace is for the eye, and has some 100 KB for each update of a small net

constexpr double kQuick = 0.1;  // seconds of an update, of which one says little
constexpr double kLong = 15;    // seconds, after which one wonders what is going on

int64_t WarmUp(int64_t updates) { return 1 + updates / 10; }

struct Stopped {
  int signal;
};

size_t ChoosePhase(const config::Options& options, const Request& request) {
  const schedule::Plan plan = train::BuildPlan(options);
  if (request.phase) {
    const auto count = static_cast<int64_t>(plan.phases().size());
    if (*request.phase < 1 || *request.phase > count) {
      throw UserError(fmt::format("--phase {}: the plan has phases 1 to {}", *request.phase, count));
    }
    return static_cast<size_t>(*request.phase - 1);
  }
  if (!request.at) return 0;
  const Examples at = request.at->Resolve(config::ScaleOf(options, plan.train_examples().value()));
  if (at >= plan.total_examples()) {
    throw UserError(fmt::format("--at {} is example {}, and the plan ends at {}", config::ToText(*request.at),
                                at.value(), plan.total_examples().value()));
  }
  return plan.AtExample(at).phase;
}

// `updates` of the phase's batch, and nothing else.
schedule::Plan PlanOf(const schedule::Phase& phase, Examples train_examples, int64_t updates) {
  const schedule::LearningRate rate(kLearningRate, schedule::Constant{}, phase.global_batch * updates);
  return schedule::MakePlan({.train_examples = train_examples,
                             .reference = {rate, phase.momentum, phase.global_batch},
                             .policy = schedule::Policy::kDecay,
                             .learning_rate = kLearningRate,
                             .momentum = phase.momentum,
                             .max_batch = train_examples});
}

// Calls `work` with the number of updates that are done, after each.
class AtBoundaries : public train::Observer {
 public:
  explicit AtBoundaries(std::function<void(int64_t)> work) : work_(std::move(work)) {}
  void OnBoundary(const train::RunPosition& position) override { work_(position.updates.value()); }

 private:
  std::function<void(int64_t)> work_;
};

// By the whole plan, as training does.
Examples MicroBatchOf(train::Parts& parts, const std::atomic<int>& stop) {
  const train::MicroBatchChoice choice = train::ChooseMicroBatch(parts, stop);
  if (choice.stop_signal != 0) throw Stopped{choice.stop_signal};
  return choice.size;
}

class Profiler {
 public:
  // `phase`: of the plan of `parts`, which must outlive it.
  Profiler(train::Parts& parts, size_t phase, const std::atomic<int>& stop)
      : parts_(parts), phase_(parts.plan.phases()[phase]), micro_batch_(MicroBatchOf(parts, stop)), stop_(stop) {
    parts_.options.run.evaluate_every = {1e18, config::Position::Unit::kExamples};
    parts_.options.run.gpu_graphs = false;  // whose forward and backward cannot be told apart
    FillIn(phase);
  }

  Result Run(const Request& request) {
    MeasureMachine();
    const int64_t updates = ChooseUpdates(request);
    MeasureParts(updates);
    MeasureLayers(updates);
    MeasureMachine();
    if (request.trace) Trace(std::min(updates, kMostTracedUpdates));
    return std::move(result_);
  }

 private:
  void FillIn(size_t phase);
  void MeasureMachine();
  double Train(
      int64_t updates, const std::function<void(int64_t)>& at_boundaries = [](int64_t) {});
  int64_t ChooseUpdates(const Request& request);
  Recording Record(Recorder::Watch watch, int64_t updates);
  void MeasureParts(int64_t updates);
  void MeasureLayers(int64_t updates);
  report::ProfiledLayer LayerFrom(const RecordedLayer& recorded, double updates) const;
  void Trace(int64_t updates);

  train::Parts& parts_;
  schedule::Phase phase_;
  Examples micro_batch_;
  const std::atomic<int>& stop_;
  ScratchFolder folder_;
  Result result_;
};

void Profiler::FillIn(size_t phase) {
  report::Profile& profile = result_.profile;
  profile.device = device::DescribeDevice(parts_.device);
  profile.workers = parts_.group->size();
  profile.threads = device::Threads();
  profile.precision = NameOf(parts_.options.run.precision);
  profile.phase = static_cast<int64_t>(phase) + 1;
  profile.phases = static_cast<int64_t>(parts_.plan.phases().size());
  profile.begin_example = phase_.begin_example.value();
  profile.global_batch = phase_.global_batch.value();
  profile.micro_batch = std::min(micro_batch_, phase_.global_batch).value();
}

// Before the updates and after them, since others may use the machine too: its roofline is the best that it reached.
void Profiler::MeasureMachine() {
  const report::Roofline now = MeasureRoofline(parts_.device, parts_.options.run.precision);
  report::Roofline& best = result_.profile.roofline;
  best.flops_per_second = std::max(best.flops_per_second, now.flops_per_second);
  best.bytes_per_second = std::max(best.bytes_per_second, now.bytes_per_second);
  parts_.group->Barrier();
}

// Returns the seconds that it took.
double Profiler::Train(int64_t updates, const std::function<void(int64_t)>& at_boundaries) {
  parts_.plan = PlanOf(phase_, parts_.plan.train_examples(), updates);
  std::optional<train::Archive> archive;
  AtBoundaries boundaries(at_boundaries);
  std::vector<train::Observer*> observers = {&boundaries};
  if (parts_.group->rank() == 0) {  // as in training, the others write nothing
    archive.emplace(train::RunFolder(folder_.path()));
    observers.insert(observers.begin(), &*archive);
  }
  train::Trainer trainer(parts_, micro_batch_, observers, stop_);
  if (trainer.Train() == report::RunEnd::kFinished) return trainer.position().train_seconds;
  const report::RunFooter footer = trainer.Close();
  if (footer.stop_signal != 0) throw Stopped{footer.stop_signal};
  throw RunError(footer.reason);
}

// The first update is slow, as memory is new and kernels choose how to work; what is chosen by it is rather too few.
int64_t Profiler::ChooseUpdates(const Request& request) {
  double seconds = Train(1);
  if (seconds < kQuick) seconds = Train(20) / 20;
  const auto fitting = static_cast<int64_t>(kSecondsToMeasure / std::max(seconds, 1e-9));
  const int64_t updates =
      request.updates ? *request.updates : parts_.group->Min(std::clamp<int64_t>(fitting, 2, kMostUpdates));
  const double expected = seconds * static_cast<double>(2 * (WarmUp(updates) + updates));
  if (expected > kLong && request.tell) {
    request.tell(
        fmt::format("measuring {} updates of up to {:.2g} s, twice, each time after {} to warm up: up to {:.0f} s",
                    updates, seconds, WarmUp(updates), expected));
  }
  return updates;
}

Recording Profiler::Record(Recorder::Watch watch, int64_t updates) {
  Recorder recorder(parts_.device, watch);
  const int64_t warm_up = WarmUp(updates);
  Train(warm_up + updates, [&](int64_t done) {
    if (done >= warm_up) recorder.Boundary();
  });
  return recorder.Finish();
}

double Mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

void Profiler::MeasureParts(int64_t updates) {
  const Recording recording = Record(Recorder::Watch::kPartsOnly, updates);
  report::Profile& profile = result_.profile;
  const auto [fastest, slowest] = std::minmax_element(recording.update_seconds.begin(), recording.update_seconds.end());
  profile.updates = updates;
  profile.seconds = Mean(recording.update_seconds);
  profile.fastest_seconds = *fastest;
  profile.slowest_seconds = *slowest;
  double overhead = profile.seconds;
  for (size_t i = 0; i < kParts.size(); ++i) {
    profile.parts.push_back({kParts[i], recording.part_seconds[i] / static_cast<double>(updates)});
    overhead -= profile.parts.back().seconds;
  }
  profile.parts.push_back({"overhead", overhead});
}

void Profiler::MeasureLayers(int64_t updates) {
  const Recording recording = Record(Recorder::Watch::kPartsAndLayers, updates);
  report::Profile& profile = result_.profile;
  profile.seconds_with_layers = Mean(recording.update_seconds);
  profile.forward_between_layers = recording.part_seconds[kForward] / static_cast<double>(updates);
  profile.backward_between_layers = recording.part_seconds[kBackward] / static_cast<double>(updates);
  for (const RecordedLayer& recorded : recording.layers) {
    profile.layers.push_back(LayerFrom(recorded, static_cast<double>(updates)));
    profile.forward_between_layers -= profile.layers.back().forward.seconds;
    profile.backward_between_layers -= profile.layers.back().backward.seconds;
  }
}

// Forward reads inputs and parameters and writes outputs. Backward reads the outputs' gradients, the inputs and the
// parameters, and writes the parameters' gradients and, where they are wanted, the inputs'. Products and convolutions
// use each weight once for every element of a channel of outputs, and backward once more for each of the two gradients.
report::ProfiledLayer Profiler::LayerFrom(const RecordedLayer& recorded, double updates) const {
  report::ProfiledLayer layer;
  layer.name = recorded.name;
  layer.output.assign(recorded.output.begin() + 1, recorded.output.end());
  layer.calls = static_cast<double>(recorded.calls) / updates;
  double parameter_bytes = 0;
  for (const nn::NamedTensor& parameter : parts_.model->parameters()) {
    if (!parameter.name.starts_with(recorded.name + ".")) continue;
    parameter_bytes += static_cast<double>(parameter.value.nbytes());
    if (parameter.name == recorded.name + ".weight") layer.weight = parameter.value.sizes().vec();
  }
  nn::LayerKind kind = nn::LayerKind::kBatchNorm;
  for (const nn::Layer& known : parts_.model->layers()) {
    if (known.name == recorded.name) kind = known.kind;
  }
  layer.kind = NameOf(kind);

  const double parameters = parameter_bytes * layer.calls;
  const double inputs = static_cast<double>(recorded.input_bytes) / updates;
  const double outputs = static_cast<double>(recorded.output_bytes) / updates;
  layer.forward.seconds = recorded.forward_seconds / updates;
  layer.forward.bytes = inputs + parameters + outputs;
  layer.backward.seconds = recorded.backward_seconds / updates;
  layer.backward.bytes =
      outputs + inputs + 2 * parameters + static_cast<double>(recorded.input_gradient_bytes) / updates;
  if (kind != nn::LayerKind::kBatchNorm) {
    const double weights_of_an_output = static_cast<double>(
        std::accumulate(layer.weight.begin() + 1, layer.weight.end(), int64_t{1}, std::multiplies<>()));
    const double flops = 2 * weights_of_an_output * static_cast<double>(recorded.output_elements) / updates;
    layer.forward.flops = flops;
    layer.backward.flops =
        flops + 2 * weights_of_an_output * static_cast<double>(recorded.output_elements_with_input_gradient) / updates;
  }
  return layer;
}

void Profiler::Trace(int64_t updates) {
  constexpr int64_t kWarmUp = 2;
  Train(kWarmUp + updates, [&](int64_t done) {
    if (done == kWarmUp) BeginTrace(parts_.device);
    if (done == kWarmUp + updates) result_.trace = EndTrace();
  });
}

}  // namespace

Result ProfileTraining(const config::Options& options, const Request& request, const std::atomic<int>& stop,
                       const distributed::WorkerPlace& place) {
  const size_t phase = ChoosePhase(options, request);  // before anything that takes time
  train::Parts parts = train::Build(options, place);
  try {
    Result result = Profiler(parts, phase, stop).Run(request);
    result.profile.config = request.config;
    return result;
  } catch (const Stopped& stopped) {
    Result result;
    result.stop_signal = stopped.signal;
    return result;
  } catch (const std::exception& error) {
    parts.group->Abandon(error.what());
    throw;
  }
}

}  // namespace crescendo::profile
