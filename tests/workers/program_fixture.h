// Runs of the real program by several processes, and what they leave behind.
#pragma once

#include <ATen/core/Tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "crescendo/nn/safetensors.h"
#include "tests/support/temporary_folder.h"
#include "tests/workers/started_program.h"

namespace crescendo::support {

inline const std::string kProgram = CRESCENDO_PROGRAM;
inline constexpr Seconds kPatience{120};
// Each worker times its own updates, in seconds: they are not those of worker 0 to the last millisecond.
inline constexpr double kClocksApart = 0.5;

// A table of noise, seconds to train. Batches of 2, 4 and 8 ghosts.
inline constexpr const char* kConfig = R"(
[data]
name = "synthetic"
train_examples = 400
test_examples = 600
image_size = 8
classes = 4
pad = 1
[model]
name = "mlp"
hidden = [16]
ghost_batch = 4
[reference]
global_batch = 8
learning_rate = 0.005
shape = "step"
boundaries = ["1ep", "2ep"]
factor = 0.5
[schedule]
length = "3.3ep"
max_batch = "none"
[run]
device = "cpu"
threads = 1
micro_batch = 8
evaluate_every = "1ep"
worker_timeout = 20
)";

class Program : public ::testing::Test {
 protected:
  Program() : config_(folder_.Write("small.toml", kConfig)) {}

  std::vector<std::string> Train(const std::string& run, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> command = {kProgram, "train", config_, "--out", Run(run).string()};
    command.insert(command.end(), more.begin(), more.end());
    return command;
  }
  // Trains until it is stopped.
  std::vector<std::string> TrainForLong(const std::string& run, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> command = Train(run, more);
    command.emplace_back("schedule.length=100000ep");
    return command;
  }
  // From the end of its second epoch.
  std::vector<std::string> BranchOf(const std::string& parent, const std::string& run) const {
    return {kProgram, "resume", Run(parent).string(), "--branch", Run(run).string(), "--at", "2ep"};
  }
  std::filesystem::path Run(const std::string& run) const { return folder_ / run; }

  // What crescendo digest prints.
  std::string DigestOf(const std::string& run) const {
    StartedProgram digest({kProgram, "digest", Run(run).string()});
    EXPECT_EQ(digest.Wait(kPatience), 0) << digest.printed();
    return digest.printed();
  }

  std::vector<nlohmann::json> Log(const std::string& run, const std::string& type) const {
    std::vector<nlohmann::json> records;
    std::ifstream stream(Run(run) / "run.jsonl");
    for (std::string line; std::getline(stream, line);) {
      const auto record = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
      if (!record.is_discarded() && record["type"] == type) records.push_back(record);
    }
    return records;
  }
  // Waits until a run has come some way.
  bool Trains(const std::string& run, StartedProgram& program) const {
    return WaitUntil(kPatience, [&] { return !Log(run, "evaluation").empty() || program.Wait(Seconds{0}); }) &&
           !program.Wait(Seconds{0});
  }

  // The largest difference of a weight, relative to the largest of its tensor.
  double Difference(const std::string& a, const std::string& b) const {
    const auto read = [&](const std::string& run) { return nn::ReadSafetensors(Run(run) / "weights.safetensors"); };
    const nn::SafetensorsFile first = read(a);
    const nn::SafetensorsFile second = read(b);
    EXPECT_EQ(first.tensors.size(), second.tensors.size());
    double largest = 0;
    for (size_t i = 0; i < first.tensors.size(); ++i) {
      const at::Tensor& value = first.tensors[i].value;
      const double difference = value.sub(second.tensors[i].value).abs().max().item<double>();
      largest = std::max(largest, difference / value.abs().max().item<double>());
    }
    return largest;
  }

  // What a run of several workers leaves behind is what a run of one does, with every update once.
  void ExpectSameAsAlone(const std::string& run, size_t workers) const {
    static const TemporaryFolder kept;  // the run of one, made once
    if (std::filesystem::is_empty(kept.path())) {
      StartedProgram alone(Train("alone"));
      ASSERT_EQ(alone.Wait(kPatience), 0) << alone.printed();
      std::filesystem::copy(Run("alone"), kept.path(), std::filesystem::copy_options::recursive);
    } else {
      std::filesystem::copy(kept.path(), Run("alone"), std::filesystem::copy_options::recursive);
    }
    EXPECT_LT(Difference("alone", run), 1e-4);
    EXPECT_EQ(Log(run, "header").size(), 1);
    EXPECT_EQ(Log(run, "header").at(0)["workers"], workers);
    const auto one = Log("alone", "update");
    const auto many = Log(run, "update");
    ASSERT_EQ(many.size(), one.size());
    for (size_t i = 0; i < one.size(); ++i) {
      EXPECT_EQ(many[i]["updates"], one[i]["updates"]);
      EXPECT_EQ(many[i]["global_batch"], one[i]["global_batch"]);
      EXPECT_EQ(many[i]["workers"].size(), workers);
      for (const auto& worker : many[i]["workers"]) {
        EXPECT_EQ(worker.size(), 3) << worker;
        EXPECT_GE(worker.at("images_per_second"), 0);
        const double waited =
            worker.at("loader_wait_seconds").get<double>() + worker.at("group_wait_seconds").get<double>();
        EXPECT_GE(waited, 0);
        EXPECT_LE(waited, many[i]["train_seconds"].get<double>() + kClocksApart);
      }
      EXPECT_NEAR(many[i]["loss"].get<double>(), one[i]["loss"].get<double>(), 1e-4);
    }
    EXPECT_EQ(Log(run, "footer").size(), 1);
    EXPECT_EQ(FilesOf(run), FilesOf("alone"));
    for (const char* axis : {"by_examples", "by_updates"}) {  // worker 0 writes, and nobody else
      EXPECT_EQ(FilesOf(run + "/events/" + axis).size(), 1) << axis;
    }
  }

  std::vector<std::string> FilesOf(const std::string& run) const {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(Run(run)))
      files.push_back(entry.path().filename().string());
    std::sort(files.begin(), files.end());
    return files;
  }

  TemporaryFolder folder_;
  std::string config_;
};

}  // namespace crescendo::support
