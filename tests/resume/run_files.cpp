#include "tests/resume/run_files.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <sstream>

#include "crescendo/base/file.h"
#include "crescendo/config/load.h"
#include "crescendo/report/event_reader.h"
#include "crescendo/train/session.h"
#include "tests/equivalence/small_run.h"

namespace crescendo::support {

namespace fs = std::filesystem;
using train::RunFolder;

std::string CheckpointedConfig() {
  return std::string(kSmallConfig) + "[checkpoint]\nevery = \"1sp\"\nminutes = 0\nkeep_last = 0\n";
}

report::RunFooter TrainHere(const fs::path& folder, const std::vector<std::string>& overrides) {
  const std::atomic<int> stop = 0;
  return train::TrainInto(RunFolder::Create(folder, /*force=*/false),
                          config::LoadText(CheckpointedConfig(), "small.toml", overrides), {}, stop);
}

report::RunFooter ResumeHere(const fs::path& folder, const std::vector<std::string>& overrides) {
  const std::atomic<int> stop = 0;
  const RunFolder run(folder);
  const auto next = train::PrepareResume(run, overrides, [](const std::string&) {});
  return train::ResumeIn(run, next.value(), {}, stop);
}

Found FindCheckpoint(const fs::path& folder, const std::vector<std::string>& overrides) {
  Found found;
  const auto next = train::PrepareResume(RunFolder(folder), overrides,
                                         [&](const std::string& sentence) { found.warnings += sentence + "\n"; });
  if (next) found.examples = next->checkpoint.state.position.examples.value();
  return found;
}

void CopyAsKilledAfter(const fs::path& from, const fs::path& to, int64_t updates) {
  fs::remove_all(to);
  fs::copy(from, to, fs::copy_options::recursive);
  fs::remove(RunFolder(to).weights());
  for (const fs::path& json : train::ListCheckpoints(RunFolder(to).checkpoints())) {
    if (train::ReadCheckpointState(json).position.updates.value() > updates) train::RemoveCheckpoint(json);
  }
}

std::string TimelessLog(const fs::path& folder) {
  std::istringstream lines(ReadFile(RunFolder(folder).log()));
  std::string log;
  for (std::string line; std::getline(lines, line);) {
    nlohmann::json json = nlohmann::json::parse(line);
    if (json["type"] == "resume") continue;
    for (const char* key : {"started", "train_seconds", "total_seconds", "images_per_second", "loader_wait_seconds",
                            "checkpoints", "checkpoint_stall_seconds", "checkpoint_write_seconds"}) {
      json.erase(key);
    }
    if (json["type"] == "footer") json["final_evaluation"].erase("train_seconds");
    log += json.dump() + "\n";
  }
  return log;
}

std::vector<std::string> EventSteps(const fs::path& folder) {
  std::vector<std::string> steps;
  for (const char* axis : {"by_examples", "by_updates"}) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(RunFolder(folder).events() / axis)) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    for (const fs::path& file : files) {
      const std::string bytes = ReadFile(file);
      const report::EventFileContent content = report::ParseEventFile(bytes);
      EXPECT_EQ(content.readable_bytes, bytes.size()) << file;
      for (const report::ScalarEvent& event : content.scalars) {
        steps.push_back(std::string(axis) + " " + event.tag + " " + std::to_string(event.step));
      }
    }
  }
  return steps;
}

void ExpectSameRun(const fs::path& run, const fs::path& other) {
  EXPECT_TRUE(ReadFile(RunFolder(run).weights()) == ReadFile(RunFolder(other).weights())) << "weights differ: " << run;
  EXPECT_EQ(TimelessLog(run), TimelessLog(other)) << run;
  EXPECT_EQ(EventSteps(run), EventSteps(other)) << run;
}

}  // namespace crescendo::support
