// What a run leaves behind, opened by the programs that others will open it with: TensorBoard and Python's safetensors.
#include "tests/cli/program.h"

namespace crescendo::cli {
namespace {

using nlohmann::json;
using support::ProcessResult;

// The scalars of both event folders by tag, and what the weights hold.
constexpr const char* kReader = R"(
import json, sys
from safetensors import safe_open
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

def scalars(axis):
    events = EventAccumulator("run/events/" + axis, size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}

with safe_open("run/weights.safetensors", framework="numpy") as file:
    weights = {"metadata": file.metadata(), "tensors": {key: file.get_tensor(key).tolist() for key in file.keys()}}
json.dump({"by_examples": scalars("by_examples"), "by_updates": scalars("by_updates"), "weights": weights}, sys.stdout)
)";

class Readers : public ProgramTest {};

TEST_F(Readers, TensorBoardAndSafetensorsOpenARun) {
  const char* given = std::getenv("CRESCENDO_PYTHON");
  const std::string python = given == nullptr ? "python3" : given;
  if (support::RunProcess({python, "-c", "import numpy, safetensors, tensorboard"}).exit_code != 0) {
    GTEST_SKIP() << "needs TensorBoard and safetensors for Python: scripts/python_readers.sh";
  }
  TrainSmall();
  support::ProcessOptions here;
  here.folder = folder_.path().string();
  const ProcessResult result = support::RunProcess({python, "-c", kReader}, here);
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const json read = json::parse(result.output);

  // Every logged number, on both axes. TensorBoard keeps floats.
  size_t update = 0;
  size_t evaluation = 0;
  for (const json& record : Log()) {
    const bool is_update = record["type"] == "update";
    if (!is_update && record["type"] != "evaluation") continue;
    const size_t at = is_update ? update++ : evaluation++;
    const auto expect = [&](const char* tag, const char* key) {
      for (const auto& [axis, step] : {std::pair("by_examples", "examples"), std::pair("by_updates", "updates")}) {
        const json& point = read[axis][tag].at(at);
        EXPECT_EQ(point[0], record[step]) << axis << tag;
        EXPECT_EQ(point[1].get<float>(), record[key].get<float>()) << axis << tag;
      }
    };
    if (is_update) {
      expect("train/loss", "loss");
      expect("schedule/learning_rate", "learning_rate");
      expect("schedule/global_batch", "global_batch");
      expect("schedule/noise_scale", "noise_scale");
    } else {
      expect("test/accuracy", "test_accuracy");
      expect("test/loss", "test_loss");
    }
  }
  EXPECT_EQ(update, 83);
  EXPECT_EQ(read["by_updates"]["train/loss"].size(), 83);
  EXPECT_EQ(read["by_updates"]["test/loss"].size(), evaluation);

  EXPECT_EQ("# crescendo run\n" + std::string(read["weights"]["metadata"]["crescendo.config"]),
            Read("run/config.toml"));
  int64_t numbers = 0;
  for (const auto& [name, tensor] : read["weights"]["tensors"].items()) {
    const json flat = tensor.flatten();
    if (name.find("running") == std::string::npos) numbers += static_cast<int64_t>(flat.size());
  }
  EXPECT_EQ(numbers, Log().front()["parameters"]);
}

}  // namespace
}  // namespace crescendo::cli
