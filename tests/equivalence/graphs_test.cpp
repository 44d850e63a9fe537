// run.gpu_graphs: recorded micro-batches, and losses that are read later, change nothing but the speed. On a CPU a
// replay is a call (device/work_graph.h), so that all else of it runs.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "crescendo/base/error.h"
#include "crescendo/distributed/local_group.h"
#include "crescendo/train/trainer.h"
#include "tests/equivalence/small_run.h"

namespace crescendo {
namespace {

using schedule::Examples;
using support::LargestDifference;
using support::Memory;
using support::RunResult;
using support::RunSmall;
using ::testing::HasSubstr;

class Graphs : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    at::set_num_threads(1);
    at::globalContext().setDeterministicCuDNN(true);
  }
};

std::vector<std::string> With(std::vector<std::string> overrides, const std::vector<std::string>& more) {
  overrides.insert(overrides.end(), more.begin(), more.end());
  return overrides;
}

// Batches of 8, 16 and 32 in micro-batches of 8 and of 20, whose last ones are of another shape; rules whose step can
// be left out on the device, and others; a learning rate that changes at every update.
TEST_F(Graphs, ChangeNoBit) {
  const std::vector<std::vector<std::string>> kinds = {
      {},
      {"run.micro_batch=20"},
      {"run.precision=bf16"},
      {"run.gpu_norm_kernels=true"},
      {"optimizer.name=nesterov", "optimizer.decay=decoupled"},
      {"optimizer.name=sgd", "reference.momentum=0"},
      {"optimizer.name=adam", "reference.learning_rate=0.003"},
      {"optimizer.name=lars", "reference.learning_rate=5"},
      {"schedule.policy=decay", "reference.shape=cosine"},
      {"schedule.momentum_buffer=rescale", R"(schedule.momentum_table=[["1ep", 0.5]])"},
      {"model.name=mlp", "model.hidden=[32]"},
      {"model.name=mlp", "model.hidden=[32]", "model.batch_norm=false"},
  };
  for (const std::vector<std::string>& kind : kinds) {
    const std::vector<std::string> every = With(kind, {kind.empty() ? "run.log_every=1" : "run.log_every=7"});
    const RunResult plain = RunSmall(every);
    const RunResult graphs = RunSmall(With(every, {"run.gpu_graphs=true"}));
    const std::string name = ::testing::PrintToString(every);
    ASSERT_EQ(plain.memory.footers.at(0).end, report::RunEnd::kFinished) << name << plain.memory.footers.at(0).reason;
    EXPECT_EQ(LargestDifference(plain, graphs), 0) << name;
    ASSERT_EQ(plain.memory.updates.size(), graphs.memory.updates.size()) << name;
    for (size_t i = 0; i < plain.memory.updates.size(); ++i) {
      const report::UpdateRecord& record = graphs.memory.updates[i];
      EXPECT_EQ(plain.memory.updates[i].setting.update, record.setting.update) << name << ", record " << i;
      EXPECT_EQ(plain.memory.updates[i].epoch, record.epoch) << name << ", record " << i;
      EXPECT_EQ(plain.memory.updates[i].loss, record.loss) << name << ", record " << i;
      // Of records that are written together.
      EXPECT_GT(record.seconds, i == 0 ? 0 : graphs.memory.updates[i - 1].seconds) << name << ", record " << i;
      EXPECT_GT(record.examples_per_second, 0) << name << ", record " << i;
    }
    ASSERT_EQ(plain.memory.evaluations.size(), graphs.memory.evaluations.size()) << name;
    for (size_t i = 0; i < plain.memory.evaluations.size(); ++i) {
      EXPECT_EQ(plain.memory.evaluations[i].loss, graphs.memory.evaluations[i].loss) << name << ", evaluation " << i;
    }
  }
}

// All that a run leaves behind.
struct State {
  report::RunFooter footer;
  train::RunPosition position;
  bool at_boundary = false;
  std::vector<at::Tensor> tensors;
  double last_record_seconds = 0;
  std::vector<int64_t> records;                // updates done at each
  std::vector<train::RunPosition> boundaries;  // where observers are told that all is well
};

// Where the trainer says that a state is whole.
struct Boundaries : Memory {
  void OnBoundary(const train::RunPosition& position) override { positions.push_back(position); }
  std::vector<train::RunPosition> positions;
};

State Train(const std::vector<std::string>& overrides) {
  train::Parts parts = train::Build(support::SmallOptions(overrides));
  const std::atomic<int> stop = 0;
  Boundaries observer;
  train::Trainer trainer(parts, Examples{8}, {&observer}, stop);
  trainer.Train();
  State state;
  state.position = trainer.position();
  state.at_boundary = trainer.at_boundary();
  state.footer = trainer.Close();
  for (const nn::NamedTensor& tensor : parts.model->parameters()) state.tensors.push_back(tensor.value.detach());
  for (const nn::NamedTensor& tensor : parts.model->buffers()) state.tensors.push_back(tensor.value);
  for (const optim::StateTensor& tensor : parts.optimizer->State()) state.tensors.push_back(tensor.value);
  state.boundaries = observer.positions;
  for (const report::UpdateRecord& record : observer.updates)
    state.records.push_back(record.setting.update.value() + 1);
  if (!observer.updates.empty()) state.last_record_seconds = observer.updates.back().seconds;
  return state;
}

// Hundreds of updates, so that losses are read where so many are enough.
TEST_F(Graphs, KeepEveryRecordOfManyUpdates) {
  const std::vector<std::string> options = {
      "model.name=mlp",         "model.hidden=[8]",    "reference.global_batch=2",     "schedule.policy=decay",
      "run.evaluate_every=9ep", "schedule.length=9ep", "reference.learning_rate=0.01", "model.batch_norm=false"};
  const RunResult plain = RunSmall(options);
  const RunResult graphs = RunSmall(With(options, {"run.gpu_graphs=true"}));
  const size_t updates = plain.memory.updates.size();
  ASSERT_GT(updates, 600);
  ASSERT_EQ(plain.memory.updates.size(), graphs.memory.updates.size());
  for (size_t i = 0; i < plain.memory.updates.size(); ++i) {
    EXPECT_EQ(plain.memory.updates[i].loss, graphs.memory.updates[i].loss) << i;
    EXPECT_EQ(plain.memory.updates[i].setting.update, graphs.memory.updates[i].setting.update);
  }
  EXPECT_EQ(LargestDifference(plain, graphs), 0);
  // After the first update and the last, and at most 256 after each other.
  const size_t places = Train(With(options, {"run.gpu_graphs=true"})).boundaries.size();
  EXPECT_GE(places, 2 + updates / 256);
  EXPECT_LT(places, updates / 2);
}

// It fails at an update that is not logged; those after it, which were computed before anybody knew, have left no
// trace.
TEST_F(Graphs, ALossThatIsNotFiniteIsFoundLaterAndTheStateIsThatBeforeIt) {
  const std::vector<std::vector<std::string>> rules = {{"optimizer.name=momentum"},
                                                       {"optimizer.name=nesterov"},
                                                       {"optimizer.name=sgd", "reference.momentum=0"},
                                                       {"optimizer.name=momentum", "optimizer.decay=decoupled"}};
  for (const std::vector<std::string>& rule : rules) {
    const std::string& optimizer = rule.back();
    std::vector<std::string> wild = With(rule, {"reference.learning_rate=1e5", "schedule.learning_rate=1e5"});
    const int64_t failing = Train(wild).position.updates.value();  // its number, from 0
    int64_t every = 2;  // with records before the failing update, which is none
    while (failing % every == 0) ++every;
    wild.push_back("run.log_every=" + std::to_string(every));
    const State plain = Train(wild);
    const State graphs = Train(With(wild, {"run.gpu_graphs=true"}));
    ASSERT_EQ(plain.footer.end, report::RunEnd::kFailed) << optimizer;
    ASSERT_GT(plain.records.size(), 1) << "it fails before any record but the first's";
    EXPECT_EQ(graphs.footer.end, plain.footer.end) << optimizer;
    EXPECT_EQ(graphs.footer.reason, plain.footer.reason);
    EXPECT_EQ(graphs.position.updates, plain.position.updates);
    EXPECT_EQ(graphs.position.examples, plain.position.examples);
    EXPECT_EQ(graphs.position.loss, plain.position.loss);
    EXPECT_EQ(graphs.position.unlogged_examples, plain.position.unlogged_examples);
    EXPECT_EQ(graphs.records, plain.records);
    EXPECT_GE(graphs.position.train_seconds, graphs.last_record_seconds) << "the clock goes back";
    EXPECT_TRUE(graphs.at_boundary);
    ASSERT_EQ(graphs.tensors.size(), plain.tensors.size());
    for (size_t i = 0; i < plain.tensors.size(); ++i) {
      EXPECT_TRUE(at::allclose(graphs.tensors[i], plain.tensors[i], /*rtol=*/0, /*atol=*/0, /*equal_nan=*/true))
          << optimizer << ", tensor " << i;  // the step before may have made numbers that are none
    }
  }
}

// Nobody may keep a state whose losses have not been read: where one may be kept, its position knows what that of a run
// knows which reads every loss at once. Checkpoints, evaluations and ends of phases are such places.
TEST_F(Graphs, AStateIsWholeWhereLossesHaveBeenRead) {
  const std::vector<std::string> options = {"checkpoint.every=80sp", "run.evaluate_every=1ep", "run.log_every=10"};
  const State plain = Train(options);
  const State graphs = Train(With(options, {"run.gpu_graphs=true"}));
  std::map<int64_t, train::RunPosition> known;
  for (const train::RunPosition& position : plain.boundaries) known[position.updates.value()] = position;
  ASSERT_EQ(known.size(), 46) << "one after every update";
  std::set<int64_t> places;
  for (const train::RunPosition& position : graphs.boundaries) {
    const train::RunPosition& expected = known.at(position.updates.value());
    EXPECT_EQ(position.examples, expected.examples);
    EXPECT_EQ(position.loss, expected.loss) << position.updates.value();
    EXPECT_EQ(position.unlogged_loss_sum, expected.unlogged_loss_sum) << position.updates.value();
    EXPECT_EQ(position.unlogged_examples, expected.unlogged_examples) << position.updates.value();
    EXPECT_EQ(position.evaluation.updates, expected.evaluation.updates) << position.updates.value();
    places.insert(position.updates.value());
  }
  EXPECT_LT(places.size(), known.size()) << "losses are read at every update";
  for (const int64_t updates : {10, 20, 25, 26, 38, 39, 46}) {  // 80 and 160 examples; ends of phases and epochs
    EXPECT_TRUE(places.contains(updates)) << "not after update " << updates;
  }
}

// Sets the flag at a micro-batch that lies between two records.
class StopsAtMicroBatch : public distributed::LocalGroup {
 public:
  StopsAtMicroBatch(int64_t micro_batch, std::atomic<int>& stop) : left_(micro_batch), stop_(stop) {}
  void RequireAllWell() override {
    if (--left_ == 0) stop_ = 15;
  }

 private:
  int64_t left_;
  std::atomic<int>& stop_;
};

TEST_F(Graphs, ARunThatIsStoppedGoesOnWithTheSameBits) {
  const std::vector<std::string> options = {"run.gpu_graphs=true", "run.log_every=3"};
  const State whole = Train(options);
  for (const int64_t micro_batch : {1, 2, 12, 40, 77}) {
    train::Parts parts = train::Build(support::SmallOptions(options));
    std::atomic<int> stop = 0;
    parts.all_workers = std::make_shared<StopsAtMicroBatch>(micro_batch, stop);
    parts.group = parts.all_workers;
    train::RunPosition position;
    Memory observer;
    {
      train::Trainer trainer(parts, Examples{8}, {&observer}, stop);
      ASSERT_EQ(trainer.Train(), report::RunEnd::kInterrupted);
      EXPECT_TRUE(trainer.at_boundary());
      position = trainer.position();
    }
    stop = 0;
    train::Trainer trainer(parts, Examples{8}, {&observer}, stop, position);
    ASSERT_EQ(trainer.Train(), report::RunEnd::kFinished);
    EXPECT_EQ(trainer.position().updates, whole.position.updates);
    EXPECT_EQ(trainer.position().loss, whole.position.loss);
    std::vector<int64_t> records;
    for (const report::UpdateRecord& record : observer.updates) records.push_back(record.setting.update.value() + 1);
    EXPECT_EQ(records, whole.records) << "stopped at " << micro_batch;
    size_t i = 0;
    for (const nn::NamedTensor& tensor : parts.model->parameters()) {
      EXPECT_TRUE(at::equal(tensor.value, whole.tensors[i++])) << tensor.name << ", stopped at " << micro_batch;
    }
    for (const nn::NamedTensor& tensor : parts.model->buffers()) {
      EXPECT_TRUE(at::equal(tensor.value, whole.tensors[i++])) << tensor.name << ", stopped at " << micro_batch;
    }
  }
}

TEST_F(Graphs, AreForOneWorker) {  // which is said before a device is looked for
  try {
    support::RunOnWorkers(2, {"run.gpu_graphs=true"});
    FAIL() << "two workers have trained";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("run.gpu_graphs = true is for one worker, and this run has 2"));
  }
}

}  // namespace
}  // namespace crescendo
