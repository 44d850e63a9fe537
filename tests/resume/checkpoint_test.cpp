// Checkpoints as files: which are kept, what is found where one is damaged, that others can read them.
#include "crescendo/train/checkpoint.h"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <nlohmann/json.hpp>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "crescendo/report/run_log.h"
#include "crescendo/train/digest.h"
#include "crescendo/train/run_folder.h"
#include "tests/resume/run_files.h"
#include "tests/support/temporary_folder.h"

namespace crescendo::train {
namespace {

namespace fs = std::filesystem;
using schedule::Examples;
using support::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CheckpointFiles : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { at::set_num_threads(1); }

  std::vector<int64_t> Train(const std::vector<std::string>& overrides) {
    support::TrainHere(folder_ / "run", overrides);
    std::vector<int64_t> positions;
    for (const fs::path& json : ListCheckpoints(checkpoints_)) positions.push_back(PositionOf(json).value());
    return positions;
  }

  TemporaryFolder folder_;
  fs::path checkpoints_ = RunFolder(folder_ / "run").checkpoints();
};

// Phases begin at examples 200 and 408, the run ends at 660.
TEST_F(CheckpointFiles, AreWrittenAndKeptAsAsked) {
  EXPECT_THAT(Train({"checkpoint.every=none", "checkpoint.at_phase_changes=true"}), ElementsAre(660, 408, 200));
  fs::remove_all(folder_ / "run");
  EXPECT_THAT(Train({"checkpoint.every=none", "checkpoint.at_end=false"}), ElementsAre());
  fs::remove_all(folder_ / "run");
  EXPECT_THAT(Train({"checkpoint.every=1ep", "checkpoint.keep_last=2"}), ElementsAre(660, 600));
  fs::remove_all(folder_ / "run");
  EXPECT_THAT(Train({"checkpoint.every=none", "checkpoint.minutes=10", "checkpoint.at_end=false"}), ElementsAre());
  fs::remove_all(folder_ / "run");
  const std::vector<int64_t> by_time = Train(
      {"checkpoint.every=none", "checkpoint.minutes=0.0000001", "checkpoint.keep_last=0", "checkpoint.at_end=false"});
  EXPECT_GT(by_time.size(), 1);
  EXPECT_TRUE(std::ranges::is_sorted(by_time, std::greater<>()));
}

// A first evaluation of 0 learning is the best of a run that gets no better.
TEST_F(CheckpointFiles, BestIsKeptBesidesTheLast) {
  const auto positions = Train({"checkpoint.every=100sp", "checkpoint.keep_last=1", "checkpoint.keep_best=true",
                                "reference.learning_rate=1e-9", "schedule.learning_rate=1e-9", "model.norm_momentum=0",
                                "schedule.policy=decay"});
  EXPECT_THAT(positions, ElementsAre(660, 200));
}

// It learns, and from epoch 2 on it is driven away again by a rate at which nothing can be learned.
TEST_F(CheckpointFiles, BestOfARunThatLearnsIsKept) {
  const auto positions =
      Train({"checkpoint.every=none", "checkpoint.keep_last=1", "checkpoint.keep_best=true", "run.evaluate_every=40sp",
             "schedule.policy=decay", "reference.shape=table", R"(reference.table=[["0ep", 0.05], ["2ep", 5]])"});
  const report::RunSummary log = report::ReadRunLog(RunFolder(folder_ / "run").log());
  const auto best = std::ranges::max_element(log.evaluations, {}, &report::EvaluationRecord::accuracy);  // the first
  EXPECT_GT(best->accuracy, log.evaluations.front().accuracy);
  EXPECT_GT(best->accuracy, log.evaluations.back().accuracy);
  EXPECT_THAT(positions, ElementsAre(660, best->examples.value()));
}

TEST_F(CheckpointFiles, DamagedOneIsFoundAndTheOneBeforeIsUsed) {
  const std::vector<int64_t> positions = Train({"checkpoint.every=200sp", "checkpoint.keep_last=0"});
  ASSERT_THAT(positions, ElementsAre(660, 600, 408, 200));
  const fs::path json = ListCheckpoints(checkpoints_).front();
  const fs::path tensors = TensorsBeside(json);
  const std::string json_text = ReadFile(json);
  const std::string tensor_bytes = ReadFile(tensors);
  const auto restore = [&] {
    WriteFileAtomically(json, json_text);
    WriteFileAtomically(tensors, tensor_bytes);
  };
  const auto expect_previous = [&](const char* reason) {
    const support::Found found = support::FindCheckpoint(folder_ / "run");
    EXPECT_EQ(found.examples, 600) << reason;
    EXPECT_THAT(found.warnings, HasSubstr("the checkpoint at example 660 cannot be used"));
    EXPECT_THAT(found.warnings, HasSubstr(reason));
    restore();
  };
  EXPECT_EQ(support::FindCheckpoint(folder_ / "run").examples, 660);
  EXPECT_EQ(support::FindCheckpoint(folder_ / "run").warnings, "");

  WriteFileAtomically(tensors, tensor_bytes.substr(0, tensor_bytes.size() / 2));
  expect_previous("bytes and should have");
  std::string flipped = tensor_bytes;
  flipped[flipped.size() - 5] = static_cast<char>(flipped[flipped.size() - 5] ^ 4);
  WriteFileAtomically(tensors, flipped);
  expect_previous("its bytes are not those that were written");
  fs::remove(tensors);
  expect_previous("cannot read");
  WriteFileAtomically(json, "");
  expect_previous("cut off or no JSON object");
  WriteFileAtomically(json, json_text.substr(0, json_text.size() - 10));
  expect_previous("cut off or no JSON object");
  std::string changed = json_text;
  changed.replace(changed.find("\"updates\": 46"), 13, "\"updates\": 47");
  WriteFileAtomically(json, changed);
  expect_previous("damaged: its SHA-256 is not the one it states");
  WriteFileAtomically(json, ReadFile(ListCheckpoints(checkpoints_).back()));
  expect_previous("its name is that of another position");
  nlohmann::ordered_json future = nlohmann::ordered_json::parse(json_text);
  future["format_version"] = 2;
  future.erase("sha256_of_the_above");
  future["sha256_of_the_above"] = Sha256Of(future.dump(1));
  WriteFileAtomically(json, future.dump(1) + "\n");
  expect_previous("format_version is 2, and this crescendo reads version 1");
  WriteFileAtomically(json, "{\"a\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}");
  expect_previous("nested too deeply");
  fs::resize_file(json, 1 << 30);  // sparse; refused before it is read
  expect_previous("it has 1073741824 bytes");
}

// What a crash leaves behind is removed, what cannot be used is put aside, and the run ends as it should.
TEST_F(CheckpointFiles, RemainsOfACrashDoNotStay) {
  Train({"checkpoint.every=200sp", "checkpoint.keep_last=2"});
  fs::copy(folder_ / "run", folder_ / "whole", fs::copy_options::recursive);
  const fs::path newest = ListCheckpoints(checkpoints_).front();
  fs::remove(RunFolder(folder_ / "run").weights());
  WriteFileAtomically(newest, "damaged");
  folder_.Write("run/checkpoints/000000000610.safetensors", "tensors without their JSON");
  folder_.Write("run/checkpoints/000000000610.json.part", "half");
  support::ResumeHere(folder_ / "run");
  support::ExpectSameRun(folder_ / "run", folder_ / "whole");
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(checkpoints_)) names.push_back(entry.path().filename().string());
  EXPECT_THAT(names, ::testing::UnorderedElementsAre("000000000600.json", "000000000600.safetensors",
                                                     "000000000660.json", "000000000660.safetensors",
                                                     "000000000660.json.damaged", "000000000660.safetensors.damaged"));
}

TEST_F(CheckpointFiles, PythonOpensThem) {
  const char* given = std::getenv("CRESCENDO_PYTHON");
  const std::string python = given == nullptr ? "python3" : given;
  if (std::system((python + " -c 'import numpy, safetensors.numpy' 2> /dev/null").c_str()) != 0) {
    GTEST_SKIP() << "needs safetensors for Python: scripts/python_readers.sh";
  }
  Train({"checkpoint.every=none", "schedule.length=1.1ep", "reference.boundaries=[\"1ep\"]"});
  const std::string script = folder_.Write("check.py", R"(import hashlib, json, sys
from safetensors import safe_open
path = sys.argv[1]
state = json.load(open(path))
data = open(path.replace(".json", ".safetensors"), "rb").read()
assert len(data) == state["tensors"]["bytes"]
assert hashlib.sha256(data).hexdigest() == state["tensors"]["sha256"]
assert state["position"]["examples"] == 220, state
with safe_open(path.replace(".json", ".safetensors"), framework="numpy") as file:
    names = list(file.keys())
    weights = [n for n in names if n.startswith("model.") and n.endswith("weight")]
    assert weights and any(n.startswith("optimizer.") for n in names), names
    for name in weights:
        assert abs(file.get_tensor(name)).max() > 0, name
)");
  const std::string json = ListCheckpoints(checkpoints_).front().string();
  EXPECT_EQ(std::system((python + " " + script + " " + json).c_str()), 0);
}

// The settings and the order of this run, wherever it is made. Where an option is added the settings change, and where
// the order of examples or the plan changes, so does the order: then say why in the commit and put the new ones here.
// The weights are not golden: LibTorch chooses its kernels by the processor, and others add in another order.
TEST_F(CheckpointFiles, DigestIsThatOfTheGoldenRun) {
  Train({"checkpoint.every=none"});
  const RunDigest digest = DigestRun(folder_ / "run");
  EXPECT_EQ(digest.order, "6ea20cb5a24171278f205f14a74fb12022b512bfe9e2cd18c5b671f04a7df9a0");
  EXPECT_EQ(digest.settings, "be284ad20e19d4339fee59640bfe3228e3d2970839edc0988eab30946aad1c4c");

  support::TrainHere(folder_ / "again", {"checkpoint.every=none", "data.threads=2", "run.log_every=7"});
  EXPECT_EQ(DigestRun(folder_ / "again").all, digest.all);
  support::TrainHere(folder_ / "other", {"checkpoint.every=none", "run.seed=2"});
  const RunDigest other = DigestRun(folder_ / "other");
  EXPECT_NE(other.settings, digest.settings);
  EXPECT_NE(other.order, digest.order);
  EXPECT_NE(other.weights, digest.weights);
}

}  // namespace
}  // namespace crescendo::train
