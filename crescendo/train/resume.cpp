#include "crescendo/train/resume.h"

#include <fmt/format.h>
#include <torch/headeronly/version.h>

#include <sstream>

#include "crescendo/base/enum_names.h"
#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "crescendo/base/version.h"
#include "crescendo/config/difference.h"
#include "crescendo/config/load.h"
#include "crescendo/device/device.h"
#include "crescendo/report/plan_report.h"
#include "crescendo/report/run_log.h"
#include "crescendo/train/digest.h"

namespace crescendo::train {
namespace {

namespace fs = std::filesystem;
using schedule::Examples;

constexpr const char* kOtherBits = "the last bits may differ from a run that was never stopped";
constexpr const char* kBranchHint = "--branch NEWDIR starts a new run from this state with other options";

config::Options OptionsOf(const Checkpoint& checkpoint, const std::vector<std::string>& overrides) {
  return config::LoadText(checkpoint.state.config_toml, checkpoint.path, overrides);
}

// Whether the threads of each worker are to be what they were: other workers have other cores to share, unless the bits
// hang on the threads alone.
bool KeepsThreads(const CheckpointState& state, const config::Options& options, int64_t workers) {
  return options.run.reproducible || state.workers == workers || state.workers == 0;
}

// What `options`, with which the run goes on, leave open and `before` left open too, is as it was.
config::Options WithLayoutOf(const CheckpointState& state, const config::Options& before, config::Options options,
                             int64_t workers) {
  const config::DeviceName trained_on = ParseEnum<config::DeviceName>(state.device).value_or(config::DeviceName::kAuto);
  if (options.run.device == config::DeviceName::kAuto && before.run.device == config::DeviceName::kAuto) {
    options.run.device = trained_on;
  }
  const config::DeviceName found = device::GpuCount() > 0 ? config::DeviceName::kCuda : config::DeviceName::kCpu;
  const config::DeviceName now = options.run.device == config::DeviceName::kAuto ? found : options.run.device;
  if (now != trained_on) return options;  // another kind of device has other threads and another memory
  // Where workers grow, each phase has its own number.
  const bool fixed = options.run.workers == config::Workers::kFixed;
  if (!options.run.threads && !before.run.threads && fixed && KeepsThreads(state, options, workers)) {
    options.run.threads = state.threads;
  }
  if (!options.run.micro_batch && !before.run.micro_batch && state.micro_batch > 0) {
    options.run.micro_batch = state.micro_batch;
  }
  return options;
}

// What a GPU began does not move to a CPU, perhaps a hundred times slower, before it is told to.
void RequireItsGpu(const RunFolder& folder, const CheckpointState& state, const config::Options& options) {
  const bool is_left_open = options.run.device == config::DeviceName::kAuto;
  if (!is_left_open || state.device != NameOf(config::DeviceName::kCuda) || device::GpuCount() > 0) return;
  throw UserError(
      fmt::format("{} was trained on a GPU, and here is none that can be used; run.device=cpu goes on with "
                  "it on the CPU",
                  folder.path().string()));
}

struct Changes {
  std::string all;       // "run.device=\"cpu\" run.log_every=10"
  std::string rounding;  // those of them that change the order of sums
};

// Returns the changes that are allowed: those that leave alone what is learned, but for its last bits.
Changes RequireSameOptions(const RunFolder& folder, const config::Options& before, const config::Options& now) {
  std::string refused;
  Changes changes;
  for (const config::Difference& difference : config::DifferencesBetween(before, now)) {
    if (!config::MayDifferOnResume(difference.key)) {
      refused += fmt::format("\n  {}", config::ToText(difference));
      continue;
    }
    if (difference.after.empty()) continue;  // it means nothing any more
    const auto add = [&](std::string& text) {
      text += fmt::format("{}{}={}", text.empty() ? "" : " ", difference.key, difference.after);
    };
    add(changes.all);
    const bool is_of_threads_or_device =
        difference.key != "run.micro_batch" && difference.key != "run.workers" && difference.key != "run.worker_batch";
    const bool rounds = config::EffectOf(difference.key) == config::Effect::kRounding;
    if (rounds && (is_of_threads_or_device || !now.run.reproducible)) add(changes.rounding);
  }
  if (refused.empty()) return changes;
  throw UserError(
      fmt::format("{} cannot be resumed with other options than it was trained with:{}\nGive them as they "
                  "were; or {}",
                  folder.path().string(), refused, kBranchHint));
}

// The first line in which two texts differ.
std::string FirstDifference(const std::string& before, const std::string& now) {
  std::istringstream a(before);
  std::istringstream b(now);
  std::string line_a;
  std::string line_b;
  for (int number = 1;; ++number) {
    const bool more_a = static_cast<bool>(std::getline(a, line_a));
    const bool more_b = static_cast<bool>(std::getline(b, line_b));
    if (!more_a && !more_b) return "";
    if (line_a == line_b && more_a == more_b) continue;
    return fmt::format("\n  line {}: {}\n  now:     {}", number, more_a ? line_a : "(the end)",
                       more_b ? line_b : "(the end)");
  }
}

void RequireOnPlan(const Checkpoint& checkpoint, const schedule::Plan& plan) {
  const RunPosition& position = checkpoint.state.position;
  if (position.examples <= plan.total_examples() && position.updates <= plan.total_updates()) return;
  throw UserError(fmt::format("{} is not of this plan: it is at example {} of {}, update {} of {}",
                              checkpoint.path.string(), position.examples.value(), plan.total_examples().value(),
                              position.updates.value(), plan.total_updates().value()));
}

[[noreturn]] void RefuseData(std::string_view differences) {
  throw UserError(
      fmt::format("the data are not those that the run was trained on:{}\ndata.folder, or of a table "
                  "data.train_file and data.test_file, says where they are now; {}",
                  differences, kBranchHint));
}

// plan.json; "" where it is not the plan of the checkpoint.
std::string RecordedPlan(const RunFolder& folder, const CheckpointState& state) {
  if (!fs::exists(folder.plan())) return "";
  std::string plan = ReadFile(folder.plan());
  return Sha256Of(plan) == state.plan_sha256 ? plan : "";
}

// Before the plan is made: a table with other rows gives another plan, or none.
void RequireSameSize(const RunFolder& folder, const CheckpointState& state, const config::Options& options) {
  const std::optional<int64_t> before = report::TrainExamplesIn(RecordedPlan(folder, state));
  if (!before) return;
  const int64_t now = data::CountTrainExamples(options.data);
  if (now != *before) RefuseData(fmt::format("\n  train set: {} examples, now {}", *before, now));
}

void RequireSamePlan(const RunFolder& folder, const CheckpointState& state, const schedule::Plan& plan) {
  if (DigestOf(plan) == state.plan_sha256) return;
  const std::string recorded = RecordedPlan(folder, state);
  const std::string difference = recorded.empty() ? "" : FirstDifference(recorded, report::PlanJson(plan));
  throw UserError(fmt::format(
      "{} cannot be resumed: the same options now give another plan than the one it was trained "
      "with (by crescendo {} {}; this is {} {}){}\n{}",
      folder.path().string(), state.crescendo_version, state.commit, Version(), Commit(), difference, kBranchHint));
}

// Of what the last bits hang on, besides what has to be the same. `rounding`: the options among it.
void WarnOfOtherBits(const CheckpointState& state, const config::Options& options, const std::string& rounding,
                     int64_t workers, const Warn& warn) {
  if (!rounding.empty()) {
    warn(fmt::format("with {} {}", rounding, kOtherBits));
  }
  if (state.workers != workers && state.workers != 0 && !options.run.reproducible) {
    warn(fmt::format("{} trained it and now {}: {}",
                     state.workers == 1 ? "one worker" : fmt::format("{} workers", state.workers),
                     workers == 1 ? "one does" : fmt::format("{} do", workers), kOtherBits));
  }
  const std::pair<std::string, std::string> now[] = {
      {state.torch_version, TORCH_VERSION}, {state.machine, device::DescribeMachine()}, {state.commit, Commit()}};
  const char* names[] = {"LibTorch", "the machine", "the commit of crescendo"};
  for (size_t i = 0; i < std::size(now); ++i) {
    if (now[i].first != now[i].second) warn(OtherBits(names[i], now[i].first, now[i].second));
  }
}

}  // namespace

std::optional<report::RunFooter> FinishedRun(const RunFolder& folder) {
  if (!fs::exists(folder.log()) || !fs::exists(folder.weights())) return std::nullopt;
  try {
    const report::RunSummary run = report::ReadRunLog(folder.log());
    if (run.footer && run.footer->end == report::RunEnd::kFinished) return run.footer;
  } catch (const UserError&) {
    // A damaged log does not say that the run has finished.
  }
  return std::nullopt;
}

void RefuseToStartOver(const RunFolder& folder) {
  if (!fs::exists(folder.log())) return;
  report::RunHeader header;
  try {
    header = report::ReadRunLog(folder.log()).header;
  } catch (const UserError&) {
    return;  // The log of a branch has its header before the folder is a run: this is none.
  }
  const std::string parent = header.branched_from.substr(0, header.branched_from.rfind(", example "));
  if (parent.empty()) return;
  throw UserError(fmt::format(
      "{0} holds no checkpoint to go on from, and to begin it again from nothing would make another run of it: it is a "
      "branch of {1}, from example {2}; `crescendo resume {1} --branch NEWDIR --at {2}sp`, with the options it was "
      "given, begins it again",
      folder.path().string(), parent, header.begin_examples.value()));
}

config::Options OptionsOf(const RunFolder& folder, const std::vector<std::string>& overrides) {
  if (!fs::exists(folder.config())) {
    throw UserError(fmt::format("{} holds no run: there is no {}", folder.path().string(), folder.config().string()));
  }
  return config::LoadFile(folder.config(), overrides);
}

std::optional<Continuation> PrepareResume(const RunFolder& folder, const std::vector<std::string>& overrides,
                                          const Warn& warn, const distributed::WorkerPlace& place) {
  Continuation next;
  next.options = OptionsOf(folder, overrides);
  if (place.rank == 0) folder.Lock();
  std::optional<Checkpoint> newest = NewestCheckpoint(folder.checkpoints(), std::nullopt, warn);
  if (!newest) return std::nullopt;
  next.checkpoint = std::move(*newest);
  const CheckpointState& state = next.checkpoint.state;
  const config::Options before = OptionsOf(next.checkpoint, {});
  const Changes changes = RequireSameOptions(folder, before, next.options);
  next.changes = changes.all;
  RequireSameSize(folder, state, next.options);
  const schedule::Plan plan = BuildPlan(next.options);
  RequireSamePlan(folder, state, plan);
  RequireOnPlan(next.checkpoint, plan);
  next.layout = WithLayoutOf(state, before, next.options, place.size);
  RequireItsGpu(folder, state, next.options);
  WarnOfOtherBits(state, next.options, changes.rounding, place.size, warn);
  return next;
}

Continuation PrepareBranch(const RunFolder& folder, const std::vector<std::string>& overrides,
                           const std::optional<config::Position>& at, const Warn& warn) {
  std::optional<Examples> at_most;
  if (at) {
    const config::Options trained = OptionsOf(folder, {});
    at_most = at->Resolve(config::ScaleOf(trained, BuildPlan(trained).train_examples().value()));
  }
  Continuation next;
  std::optional<Checkpoint> newest = NewestCheckpoint(folder.checkpoints(), at_most, warn);
  if (!newest) {
    std::string there;
    for (const fs::path& json : ListCheckpoints(folder.checkpoints()))
      there += fmt::format(" {}", PositionOf(json).value());
    throw UserError(fmt::format("{} holds no checkpoint to branch from{}; there are{}", folder.path().string(),
                                at_most ? fmt::format(" at example {} or before", at_most->value()) : "",
                                there.empty() ? " none" : " some at examples" + there));
  }
  next.checkpoint = std::move(*newest);
  CheckpointState& state = next.checkpoint.state;
  const config::Options before = OptionsOf(next.checkpoint, {});
  next.options = OptionsOf(next.checkpoint, overrides);
  next.layout = next.options;
  next.branched_from = fmt::format("{}, example {}, update {}", folder.path().string(), state.position.examples.value(),
                                   state.position.updates.value());
  if (before.optimizer.name != next.options.optimizer.name) {
    next.optimizer = OptimizerState::kLeftOut;
    warn(fmt::format("the state of {} means nothing to {}, which begins anew", NameOf(before.optimizer.name),
                     NameOf(next.options.optimizer.name)));
  }
  // The branch has logged and evaluated nothing yet.
  state.position.unlogged_loss_sum = 0;
  state.position.unlogged_examples = Examples{0};
  state.position.evaluation = {};
  state.position.best_accuracy = RunPosition{}.best_accuracy;
  return next;
}

std::string OtherBits(std::string_view what, std::string_view before, std::string_view now) {
  return fmt::format("{} was \"{}\" and is \"{}\": {}", what, before, now, kOtherBits);
}

void RequireSameData(const CheckpointState& state, const data::DatasetPair& data) {
  std::string differences;
  const auto compare = [&](const char* name, const std::string& before, const data::Dataset& dataset) {
    const std::string now = DigestOf(dataset);
    if (now == before) return;
    differences += fmt::format("\n  {} ({} examples): SHA-256 {}, now {}", name, dataset.size(), before, now);
  };
  compare("train set", state.train_sha256, data.train);
  compare("test set", state.test_sha256, data.test);
  if (!differences.empty()) RefuseData(differences);
}

std::string ChangedData(const RunFolder& folder, const data::Dataset* train, const data::Dataset& test) {
  for (const fs::path& json : ListCheckpoints(folder.checkpoints())) {
    try {
      const CheckpointState state = ReadCheckpointState(json);  // all of a run are of the same data
      const bool other_train = train != nullptr && DigestOf(*train) != state.train_sha256;
      const bool other_test = DigestOf(test) != state.test_sha256;
      return other_train && other_test ? "train set and test set"
             : other_train             ? "train set"
             : other_test              ? "test set"
                                       : "";
    } catch (const UserError&) {
      // A damaged one tells nothing.
    }
  }
  return "";
}

}  // namespace crescendo::train
