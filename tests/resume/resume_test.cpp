// A run that is stopped and resumed is the run that was never stopped, bit by bit.
#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <random>
#include <thread>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "crescendo/config/describe.h"
#include "crescendo/config/load.h"
#include "crescendo/device/device.h"
#include "crescendo/report/run_log.h"
#include "crescendo/train/digest.h"
#include "crescendo/train/session.h"
#include "tests/equivalence/small_run.h"
#include "tests/resume/run_files.h"
#include "tests/support/temporary_folder.h"

namespace crescendo {
namespace {

namespace fs = std::filesystem;
using support::ExpectSameRun;
using support::ResumeHere;
using support::TemporaryFolder;
using support::TrainHere;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using train::RunFolder;

class Resume : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { at::set_num_threads(1); }
  TemporaryFolder folder_;
};

// Phases begin with updates 25 and 38; update 25 ends epoch 1, which update 38 and 44 do not.
TEST_F(Resume, AtPhaseBoundariesBesideThemAndInMidEpoch) {
  TrainHere(folder_ / "whole");
  for (const int64_t updates : {1, 12, 24, 25, 26, 37, 38, 39, 45, 46}) {
    support::CopyAsKilledAfter(folder_ / "whole", folder_ / "resumed", updates);
    const report::RunFooter footer = ResumeHere(folder_ / "resumed");
    EXPECT_EQ(footer.end, report::RunEnd::kFinished);
    EXPECT_EQ(footer.updates, schedule::Updates{46});
    ExpectSameRun(folder_ / "resumed", folder_ / "whole");
    const report::RunSummary log = report::ReadRunLog(RunFolder(folder_ / "resumed").log());
    ASSERT_EQ(log.resumes.size(), 1);
    EXPECT_EQ(log.resumes[0].updates, schedule::Updates{updates});
  }
}

TEST_F(Resume, WithEveryOptimizer) {
  const std::vector<std::vector<std::string>> optimizers = {
      {"optimizer.name=sgd", "reference.momentum=0"},
      {"optimizer.name=momentum", "schedule.momentum_buffer=rescale", R"(schedule.momentum_table=[["1ep", 0.5]])"},
      {"optimizer.name=nesterov", "schedule.momentum_buffer=reset"},
      {"optimizer.name=adam", "reference.learning_rate=0.003"},
      {"optimizer.name=adamw", "reference.learning_rate=0.003"},
      {"optimizer.name=rmsprop", "reference.learning_rate=0.003", "reference.momentum=0.5"},
      {"optimizer.name=lars", "reference.learning_rate=5"},
      {"optimizer.name=lamb", "reference.learning_rate=0.003"},
  };
  for (std::vector<std::string> overrides : optimizers) {
    SCOPED_TRACE(overrides.front());
    overrides.emplace_back("schedule.length=1.6ep");
    overrides.emplace_back("reference.boundaries=[\"1ep\"]");
    overrides.emplace_back("checkpoint.every=200sp");
    const fs::path whole = folder_ / (overrides.front() + "_whole");
    const fs::path resumed = folder_ / (overrides.front() + "_resumed");
    TrainHere(whole, overrides);
    support::CopyAsKilledAfter(whole, resumed, 25);
    ResumeHere(resumed);
    ExpectSameRun(resumed, whole);
  }
}

TEST_F(Resume, InBfloat16OfAnMlpAndBetweenTwoRecords) {
  const std::vector<std::vector<std::string>> kinds = {{"run.precision=bf16"},
                                                       {"model.name=mlp", "model.hidden=[32]"},
                                                       {"schedule.epoch_tail=drop"},
                                                       {"run.log_every=7"},
                                                       {"run.gpu_graphs=true", "run.log_every=3"}};
  for (const std::vector<std::string>& overrides : kinds) {
    SCOPED_TRACE(overrides.front());
    const fs::path whole = folder_ / (overrides.front() + "_whole");
    const fs::path resumed = folder_ / (overrides.front() + "_resumed");
    TrainHere(whole, overrides);
    support::CopyAsKilledAfter(whole, resumed, 30);
    ResumeHere(resumed);
    ExpectSameRun(resumed, whole);
  }
}

// What "auto" stood for is part of the checkpoint: measured again, it might be another.
TEST_F(Resume, UsesTheMicroBatchThatWasChosen) {
  TrainHere(folder_ / "whole", {"run.micro_batch=auto"});
  support::CopyAsKilledAfter(folder_ / "whole", folder_ / "resumed", 20);
  ResumeHere(folder_ / "resumed");
  ExpectSameRun(folder_ / "resumed", folder_ / "whole");
}

// Stopped by a signal at any moment, mostly between two micro-batches of an update: what the update did to the running
// statistics is taken back, and no update is lost.
TEST_F(Resume, AfterStopsInMidAccumulation) {
  TrainHere(folder_ / "whole", {"run.micro_batch=4"});
  const config::Options options =
      config::LoadText(support::CheckpointedConfig(), "small.toml", {"run.micro_batch=4", "checkpoint.every=none"});
  const RunFolder run = RunFolder::Create(folder_ / "stopped", false);
  std::mt19937 random(7);
  int stops = 0;
  report::RunFooter footer;
  footer.end = report::RunEnd::kInterrupted;
  while (footer.end == report::RunEnd::kInterrupted) {
    std::atomic<int> stop = 0;
    // Counts from an update, not from the start: loading takes longer than the run.
    struct StopLater : train::Observer {
      StopLater(std::atomic<int>& flag, std::chrono::microseconds after) : stop(flag), delay(after) {}
      void OnUpdate(const report::UpdateRecord&) override {
        if (!thread.joinable()) {
          thread = std::jthread([this] {
            std::this_thread::sleep_for(delay);
            stop = 15;
          });
        }
      }
      std::atomic<int>& stop;
      std::chrono::microseconds delay;
      std::jthread thread;
    } stopper(stop, std::chrono::microseconds(random() % 30'000));
    if (stops == 0) {
      footer = train::TrainInto(run, options, {&stopper}, stop);
    } else {
      const auto next = train::PrepareResume(run, {}, [](const std::string&) {});
      footer = train::ResumeIn(run, next.value(), {&stopper}, stop);
    }
    ++stops;
  }
  EXPECT_GT(stops, 3);
  const auto without_header = [&](const char* name) {
    const std::string log = support::TimelessLog(folder_ / name);
    return log.substr(log.find('\n'));  // the configs differ in checkpoint.every
  };
  EXPECT_EQ(without_header("stopped"), without_header("whole"));
  EXPECT_EQ(train::DigestRun(folder_ / "stopped").weights, train::DigestRun(folder_ / "whole").weights);
  EXPECT_EQ(support::EventSteps(folder_ / "stopped"), support::EventSteps(folder_ / "whole"));
}

// A record that could not be written is missing from the log: a checkpoint behind it would leave a gap. The one before
// is gone on from.
TEST_F(Resume, AfterALogThatFailedLosesNoRecord) {
  TrainHere(folder_ / "whole");
  struct FailsOnce : train::Observer {
    void OnUpdate(const report::UpdateRecord& record) override {
      if (record.setting.update == schedule::Updates{29}) throw RunError("no space left");
    }
  } fails;
  const std::atomic<int> stop = 0;
  const RunFolder run = RunFolder::Create(folder_ / "failed", false);
  const report::RunFooter footer =
      train::TrainInto(run, config::LoadText(support::CheckpointedConfig(), "small.toml", {}), {&fails}, stop);
  EXPECT_EQ(footer.end, report::RunEnd::kFailed);
  const auto next = train::PrepareResume(run, {}, [](const std::string&) {});
  EXPECT_EQ(next.value().checkpoint.state.position.updates, schedule::Updates{29});  // and not 30
  ResumeHere(folder_ / "failed");
  ExpectSameRun(folder_ / "failed", folder_ / "whole");
}

TEST_F(Resume, OfAReproducibleRunMayUseAnotherMicroBatch) {
  TrainHere(folder_ / "whole", {"run.reproducible=true", "run.micro_batch=4"});
  support::CopyAsKilledAfter(folder_ / "whole", folder_ / "resumed", 30);
  ResumeHere(folder_ / "resumed", {"run.micro_batch=16"});
  EXPECT_EQ(train::DigestRun(folder_ / "resumed").all, train::DigestRun(folder_ / "whole").all);
  EXPECT_EQ(support::TimelessLog(folder_ / "resumed"), support::TimelessLog(folder_ / "whole"));
  support::CopyAsKilledAfter(folder_ / "whole", folder_ / "again", 30);
  EXPECT_THROW(ResumeHere(folder_ / "again", {"run.reproducible=false"}), UserError);
}

// The files of a checkpoint say one thing and the run's options another, as where files were mixed up.
TEST_F(Resume, FromACheckpointThatIsNotOfThisRunIsRefused) {
  TrainHere(folder_ / "run", {"schedule.length=1.1ep", "reference.boundaries=[\"1ep\"]"});
  support::CopyAsKilledAfter(folder_ / "run", folder_ / "stopped", 10);
  const fs::path checkpoints = RunFolder(folder_ / "stopped").checkpoints();
  const train::Checkpoint whole = train::ReadCheckpoint(train::ListCheckpoints(checkpoints).front());
  const auto refusal_of = [&](const train::CheckpointState& state, const std::vector<nn::NamedTensor>& tensors,
                              const std::vector<std::string>& overrides = {}) {
    train::WriteCheckpoint(checkpoints, state, nn::SafetensorsBytes(tensors, {}));
    try {
      ResumeHere(folder_ / "stopped", overrides);
    } catch (const UserError& error) {
      return std::string(error.what());
    }
    return std::string("(accepted)");
  };
  const auto with = [&](const std::function<void(std::vector<nn::NamedTensor>&)>& change) {
    std::vector<nn::NamedTensor> tensors = whole.tensors;
    change(tensors);
    return refusal_of(whole.state, tensors);
  };
  const std::string first = whole.tensors.front().name;
  EXPECT_THAT(with([](auto& tensors) { tensors.erase(tensors.begin()); }), EndsWith("has no tensor \"" + first + "\""));
  EXPECT_THAT(
      with([](auto& tensors) {
        tensors.front().value = at::zeros({2, 7});
      }),
      AllOf(HasSubstr(": tensor \"" + first + "\" is Float [2, 7], but this run needs Float ["), EndsWith("]")));
  EXPECT_THAT(with([](auto& tensors) {
                tensors.push_back({"model.third", at::zeros({1})});
              }),
              EndsWith("has a tensor \"model.third\" for which this run has no place"));

  EXPECT_THAT(refusal_of(whole.state, whole.tensors, {"model.width=2"}), HasSubstr("\n  model.width: 1, now 2\n"));

  // 200 examples in batches of 8, then 20 in batches of 16.
  train::CheckpointState late = whole.state;
  late.position.updates = schedule::Updates{28};
  EXPECT_THAT(refusal_of(late, whole.tensors),
              EndsWith("is not of this plan: it is at example 80 of 220, update 28 of 27"));

  train::CheckpointState endless = whole.state;
  for (int i = 0; i < 60'000; ++i) endless.config_toml += "a.";
  EXPECT_THAT(refusal_of(endless, whole.tensors), HasSubstr(": this key has more than 32 parts"));

  EXPECT_EQ(refusal_of(whole.state, whole.tensors), "(accepted)");
}

TEST_F(Resume, WithAnotherBuildOrMachineWarns) {
  TrainHere(folder_ / "run", {"schedule.length=1.1ep", "reference.boundaries=[\"1ep\"]"});
  support::CopyAsKilledAfter(folder_ / "run", folder_ / "stopped", 10);
  EXPECT_EQ(support::FindCheckpoint(folder_ / "stopped").warnings, "");
  const fs::path checkpoints = RunFolder(folder_ / "stopped").checkpoints();
  const train::Checkpoint whole = train::ReadCheckpoint(train::ListCheckpoints(checkpoints).front());
  train::CheckpointState other = whole.state;
  other.torch_version = "1.0";
  other.machine = "an abacus";
  other.commit = "0123456";
  other.gpu = "a GPU, 8 GiB";  // of which only a GPU makes anything
  train::WriteCheckpoint(checkpoints, other, nn::SafetensorsBytes(whole.tensors, {}));
  EXPECT_EQ(train::ReadCheckpointState(train::ListCheckpoints(checkpoints).front()).gpu, other.gpu);
  const auto sentence = [](const std::string& what, const std::string& before, const std::string& now) {
    return what + " was \"" + before + "\" and is \"" + now +
           "\": the last bits may differ from a run that was never stopped\n";
  };
  EXPECT_EQ(support::FindCheckpoint(folder_ / "stopped").warnings,
            sentence("LibTorch", "1.0", whole.state.torch_version) +
                sentence("the machine", "an abacus", whole.state.machine) +
                sentence("the commit of crescendo", "0123456", whole.state.commit));
  ResumeHere(folder_ / "stopped");
  ExpectSameRun(folder_ / "stopped", folder_ / "run");
}

TEST_F(Resume, WhileAnotherProcessTrainsThereIsRefused) {
  TrainHere(folder_ / "run", {"schedule.length=1.1ep", "reference.boundaries=[\"1ep\"]"});
  support::CopyAsKilledAfter(folder_ / "run", folder_ / "stopped", 10);
  const int other = ::open((folder_ / "stopped").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_EQ(::flock(other, LOCK_EX | LOCK_NB), 0);
  try {
    ResumeHere(folder_ / "stopped");
    FAIL();
  } catch (const UserError& error) {
    EXPECT_EQ(error.what(), "another process trains in " + (folder_ / "stopped").string() + " now");
  }
  ::close(other);
  ResumeHere(folder_ / "stopped");
  ExpectSameRun(folder_ / "stopped", folder_ / "run");
}

TEST_F(Resume, WithOtherOptionsIsRefusedKeyByKey) {
  TrainHere(folder_ / "run", {"schedule.length=1.1ep", "reference.boundaries=[\"1ep\"]"});
  support::CopyAsKilledAfter(folder_ / "run", folder_ / "stopped", 10);
  try {
    ResumeHere(folder_ / "stopped",
               {"run.seed=2", "optimizer.weight_decay=0.001", "data.threads=2", "run.reproducible=true"});
    FAIL();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("cannot be resumed with other options than it was trained with:\n"
                                        "  optimizer.weight_decay: 5e-4, now 0.001\n"
                                        "  run.reproducible: false, now true\n"
                                        "  run.seed: 1, now 2\n"));
    EXPECT_THAT(error.what(), HasSubstr("--branch NEWDIR"));
    EXPECT_THAT(error.what(), Not(HasSubstr("data.threads")));
  }
  // A config that was edited is the same thing.
  const fs::path config = RunFolder(folder_ / "stopped").config();
  std::string text = ReadFile(config);
  text.replace(text.find("seed = 1"), 8, "seed = 5");
  WriteFileAtomically(config, text);
  EXPECT_THROW(ResumeHere(folder_ / "stopped"), UserError);
}

TEST_F(Resume, WithOptionsThatChangeNothingLearnedIsAllowedAndRecorded) {
  TrainHere(folder_ / "whole", {"schedule.length=1.1ep", "reference.boundaries=[\"1ep\"]"});
  support::CopyAsKilledAfter(folder_ / "whole", folder_ / "stopped", 10);
  ResumeHere(folder_ / "stopped", {"data.threads=2", "data.prefetch=1", "checkpoint.every=none"});
  EXPECT_EQ(support::TimelessLog(folder_ / "stopped"), support::TimelessLog(folder_ / "whole"));
  EXPECT_EQ(train::DigestRun(folder_ / "stopped").all, train::DigestRun(folder_ / "whole").all);
  const report::RunSummary log = report::ReadRunLog(RunFolder(folder_ / "stopped").log());
  EXPECT_EQ(log.resumes.at(0).changes, "checkpoint.every=\"none\" data.prefetch=1 data.threads=2");
  EXPECT_THAT(ReadFile(RunFolder(folder_ / "stopped").config()), HasSubstr("prefetch = 1"));
}

// A machine is lost and another is there: the run goes on, and says that its last bits are not those it would have had.
TEST_F(Resume, WhereItIsComputedOtherwiseSaysSo) {
  TrainHere(folder_ / "whole", {"run.micro_batch=auto"});
  support::CopyAsKilledAfter(folder_ / "whole", folder_ / "moved", 20);
  EXPECT_EQ(
      support::FindCheckpoint(folder_ / "moved", {"run.threads=2", "run.micro_batch=4", "data.threads=2"}).warnings,
      "with run.micro_batch=4 run.threads=2 the last bits may differ from a run that was never "
      "stopped\n");
  EXPECT_EQ(ResumeHere(folder_ / "moved", {"run.micro_batch=4", "run.gpu_norm_kernels=true"}).end,
            report::RunEnd::kFinished);
  const report::RunSummary log = report::ReadRunLog(RunFolder(folder_ / "moved").log());
  EXPECT_EQ(log.resumes.at(0).changes, "run.gpu_norm_kernels=true run.micro_batch=4");
  EXPECT_EQ(log.resumes.at(0).micro_batch, 4);
  const report::RunSummary whole = report::ReadRunLog(RunFolder(folder_ / "whole").log());
  EXPECT_NE(train::DigestRun(folder_ / "moved").all, train::DigestRun(folder_ / "whole").all) << "it has other sums";
  EXPECT_NEAR(log.footer->final_evaluation.loss, whole.footer->final_evaluation.loss, 0.01);
}

// What a run has said last counts, also if it was killed before its next checkpoint.
TEST_F(Resume, ConfigSaysHowItGoesOn) {
  TrainHere(folder_ / "run", {"run.micro_batch=8"});
  support::CopyAsKilledAfter(folder_ / "run", folder_ / "stopped", 20);
  const fs::path config = RunFolder(folder_ / "stopped").config();
  const std::string as_trained = ReadFile(config);
  std::string killed = as_trained;  // as `resume run.micro_batch=16` leaves it
  killed.replace(killed.find("micro_batch = 8"), 15, "micro_batch = 16");
  WriteFileAtomically(config, killed);
  ResumeHere(folder_ / "stopped", {"run.micro_batch=8"});
  EXPECT_EQ(ReadFile(config), as_trained);
  ExpectSameRun(folder_ / "stopped", folder_ / "run");
}

// What a GPU began goes on elsewhere only if it is told to; then neither its micro-batch nor its threads count.
TEST_F(Resume, OfARunOfAGpuOnACpuHasToBeAskedFor) {
  if (device::GpuCount() > 0) GTEST_SKIP() << "there is a GPU here";
  TrainHere(folder_ / "run", {"run.device=auto", "run.micro_batch=auto"});
  support::CopyAsKilledAfter(folder_ / "run", folder_ / "stopped", 20);
  const RunFolder run(folder_ / "stopped");
  train::Checkpoint checkpoint = train::ReadCheckpoint(train::ListCheckpoints(run.checkpoints()).front());
  checkpoint.state.device = "cuda";
  checkpoint.state.micro_batch = 1'000'000;
  checkpoint.state.threads = 77;
  for (const char* config : {"auto", "cuda"}) {
    checkpoint.state.config_toml = config::ToToml(
        config::LoadText(checkpoint.state.config_toml, "config.toml", {std::string("run.device=") + config}));
    train::WriteCheckpoint(run.checkpoints(), checkpoint.state, nn::SafetensorsBytes(checkpoint.tensors, {}));
    try {
      ResumeHere(folder_ / "stopped", {"run.device=auto"});
      FAIL() << config;
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), EndsWith("stopped was trained on a GPU, and here is none that can be used; "
                                         "run.device=cpu goes on with it on the CPU"));
    }
  }
  EXPECT_EQ(ResumeHere(folder_ / "stopped", {"run.device=cpu"}).end, report::RunEnd::kFinished);
  const report::RunSummary log = report::ReadRunLog(run.log());
  EXPECT_EQ(log.resumes.at(0).changes, "run.device=\"cpu\"");
  EXPECT_LT(log.resumes.at(0).micro_batch, 1000);
  EXPECT_LT(log.resumes.at(0).threads, 77);
  at::set_num_threads(1);
}

TEST_F(Resume, WithOtherDataOrAnotherPlanIsRefused) {
  const std::string table = "1,0,a\n2,1,b\n3,1,b\n4,0,a\n5,1,b\n6,0,a\n7,1,b\n8,0,a\n";
  const std::string file = folder_.Write("table.csv", table);
  const std::vector<std::string> csv = {
      "data.name=csv",    "data.train_file=" + file,  "data.test_examples=2", "data.train_examples=0", "model.name=mlp",
      "model.hidden=[4]", "reference.global_batch=2", "schedule.length=4ep",  "model.ghost_batch=2"};
  TrainHere(folder_ / "run", csv);
  support::CopyAsKilledAfter(folder_ / "run", folder_ / "stopped", 4);
  folder_.Write("table.csv", "9" + table.substr(1));
  const auto message = [&] {
    try {
      ResumeHere(folder_ / "stopped");
    } catch (const UserError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(message(), HasSubstr("the data are not those that the run was trained on:\n  train set (6 examples)"));
  for (const auto& [rows, count] : {std::pair(table + "9,0,a\n", 7), std::pair(table.substr(0, 3 * 6), 1)}) {
    folder_.Write("table.csv", rows);  // another N: another plan, or one too small to have any
    EXPECT_THAT(message(),
                HasSubstr("the data are not those that the run was trained on:\n  train set: 6 examples, now " +
                          std::to_string(count) + "\n"));
  }
  folder_.Write("table.csv", table.substr(0, table.size() - 6) + "9,0,a\n");  // the last two rows are the test set
  EXPECT_THAT(message(), HasSubstr("the data are not those that the run was trained on:\n  test set (2 examples)"));
  folder_.Write("table.csv", table);

  // A plan as another version might have made it.
  const RunFolder run(folder_ / "stopped");
  const fs::path json = train::ListCheckpoints(run.checkpoints()).front();
  const train::Checkpoint checkpoint = train::ReadCheckpoint(json);
  train::CheckpointState state = checkpoint.state;
  const std::string plan = ReadFile(run.plan());
  std::string other = plan;
  other.replace(other.find("\"total_updates\": "), 17, "\"total_updates\": 1");
  const auto record = [&](const std::string& text) {
    WriteFileAtomically(run.plan(), text);
    state.plan_sha256 = train::Sha256Of(text);
    train::WriteCheckpoint(run.checkpoints(), state, nn::SafetensorsBytes(checkpoint.tensors, {}));
  };
  record(other);
  EXPECT_THAT(message(), AllOf(HasSubstr("now give another plan"), HasSubstr("\"total_updates\": 1")));
  record(plan);
  EXPECT_EQ(message(), "");
}

TEST_F(Resume, OfARunWithoutACheckpointOrOfNoRunSaysSo) {
  TrainHere(folder_ / "run", {"schedule.length=1.1ep", "reference.boundaries=[\"1ep\"]"});
  support::CopyAsKilledAfter(folder_ / "run", folder_ / "stopped", 0);
  EXPECT_EQ(support::FindCheckpoint(folder_ / "stopped").examples, -1);
  EXPECT_THROW(ResumeHere(folder_ / "nothing"), UserError);
  EXPECT_TRUE(train::FinishedRun(RunFolder(folder_ / "run")).has_value());
  EXPECT_FALSE(train::FinishedRun(RunFolder(folder_ / "stopped")).has_value());
}

}  // namespace
}  // namespace crescendo
