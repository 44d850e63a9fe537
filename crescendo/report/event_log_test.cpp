#include "crescendo/report/event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "tests/support/temporary_folder.h"

namespace crescendo::report {
namespace {

using schedule::Examples;
using schedule::Updates;
using support::TemporaryFolder;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// RFC 3720, appendix B.4, and the check value of the CRC catalogue.
TEST(EventLog, CrcGivesTheKnownAnswers) {
  EXPECT_EQ(Crc32c(""), 0u);
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62A8AB43u);
  std::string rising;
  for (char c = 0; c < 32; ++c) rising += c;
  EXPECT_EQ(Crc32c(rising), 0x46DD794Eu);
}

// Length 3 as eight bytes, its masked CRC, the bytes, their masked CRC.
TEST(EventLog, RecordIsFramedByItsLengthAndTwoChecks) {
  const std::string record = FrameTfRecord("abc");
  ASSERT_EQ(record.size(), 8 + 4 + 3 + 4);
  EXPECT_EQ(record.substr(0, 8), std::string("\x03\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(record.substr(12, 3), "abc");
}

UpdateRecord SomeUpdate(int64_t index) {
  UpdateRecord record;
  record.setting.update = Updates{index};
  record.setting.end = Examples{(index + 1) * 128};
  record.setting.global_batch = Examples{128};
  record.setting.learning_rate = 0.25;
  record.setting.noise_scale = 390.625;
  record.loss = 2.5;
  record.examples_per_second = 1000;
  return record;
}

// Prints every scalar of an event folder: {"tag": [[step, value], ...]}.
constexpr const char* kReader = R"(
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={'scalars': 0})
events.Reload()
tags = [t for kind in ('scalars', 'tensors') for t in events.Tags()[kind]]
print(json.dumps({t: [[e.step, e.value] for e in events.Scalars(t)] for t in tags}))
)";

TEST(EventLog, OpensInTensorBoardOnBothAxes) {
  const char* chosen = std::getenv("CRESCENDO_PYTHON");
  const std::string python = chosen != nullptr ? chosen : "python3";
  if (std::system((python + " -c 'import tensorboard' >/dev/null 2>&1").c_str()) != 0) {
    GTEST_SKIP() << "needs TensorBoard for Python: scripts/python_readers.sh";
  }
  const TemporaryFolder folder;
  EventLog events(folder.path());
  for (int64_t i = 0; i < 3; ++i) events.Update(SomeUpdate(i));
  EvaluationRecord evaluation;
  evaluation.updates = Updates{3};
  evaluation.examples = Examples{384};
  evaluation.accuracy = 0.75;
  evaluation.loss = 0.5;
  events.Evaluation(evaluation);

  std::ofstream(folder / "read.py") << kReader;
  const auto read = [&](const std::string& axis) {
    const std::string out = folder / ("out_" + axis);
    const std::string command = python + " " + (folder / "read.py").string() + " " + (folder / axis).string() + " >" +
                                out + " 2>" + out + ".err";
    EXPECT_EQ(std::system(command.c_str()), 0) << ReadFile(out + ".err");
    return nlohmann::json::parse(ReadFile(out));
  };
  EXPECT_EQ(read("by_examples"), nlohmann::json::parse(R"({
      "train/loss": [[128, 2.5], [256, 2.5], [384, 2.5]],
      "train/images_per_second": [[128, 1000], [256, 1000], [384, 1000]],
      "schedule/learning_rate": [[128, 0.25], [256, 0.25], [384, 0.25]],
      "schedule/global_batch": [[128, 128], [256, 128], [384, 128]],
      "schedule/noise_scale": [[128, 390.625], [256, 390.625], [384, 390.625]],
      "test/accuracy": [[384, 0.75]],
      "test/loss": [[384, 0.5]]})"));
  const auto by_updates = read("by_updates");
  EXPECT_EQ(by_updates["train/loss"], nlohmann::json::parse("[[1, 2.5], [2, 2.5], [3, 2.5]]"));
  EXPECT_EQ(by_updates["test/accuracy"], nlohmann::json::parse("[[3, 0.75]]"));
}

TEST(EventLog, KeepsEarlierFilesOfTheFolder) {
  const TemporaryFolder folder;
  const EventFile first(folder.path());
  const EventFile second(folder.path());
  int64_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    EXPECT_THAT(entry.path().filename().string(), StartsWith("events.out.tfevents."));
    EXPECT_GT(std::filesystem::file_size(entry.path()), 0);  // the version is there at once
    ++files;
  }
  EXPECT_EQ(files, 2);
}

TEST(EventLog, NamesTheFolderItCannotMake) {
  const TemporaryFolder folder;
  std::ofstream(folder / "file") << "x";
  try {
    EventLog events(folder / "file");
    FAIL();
  } catch (const RunError& error) {
    EXPECT_THAT(error.what(), HasSubstr((folder / "file").string()));
  }
}

}  // namespace
}  // namespace crescendo::report
