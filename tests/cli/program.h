// The program as a stranger uses it: the built `crescendo`, run as a process in a folder that holds nothing but a small
// config and its table.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/temporary_folder.h"

namespace crescendo::cli {

// 300 rows of two numbers and a class of three; small.toml trains on 240 of them, batch 8, 16, 32 over 4 epochs: 30 +
// 30
// + 15 + 8 updates.
class ProgramTest : public ::testing::Test {
 protected:
  ProgramTest();

  // Runs `crescendo ARGUMENTS...` in the folder, whatever options.folder says.
  support::ProcessResult Crescendo(std::vector<std::string> arguments, support::ProcessOptions options = {}) const;

  // `crescendo train small.toml --out run ARGUMENTS...`, which must end well.
  void TrainSmall(std::vector<std::string> arguments = {}) const;

  std::string Read(const std::string& name) const;
  bool Exists(const std::string& name) const { return std::filesystem::exists(folder_ / name); }

  // The records of a run.jsonl.
  std::vector<nlohmann::json> Log(const std::string& name = "run/run.jsonl") const;

  support::TemporaryFolder folder_;
};

std::vector<std::string> Lines(const std::string& text);

// The keys of an object, in its order.
std::vector<std::string> Keys(const nlohmann::ordered_json& object);

// What every message keeps to: it is the program's, it names no C++ type, function or source file of ours or
// LibTorch's.
MATCHER(IsForPeople, "") {
  for (const char* word : {"terminate called", "std::", "c10::", "at::", "frame #", "what():", ".cpp:", "unexpected:",
                           "nlohmann", "toml::", "basic_string", "Aborted", "core dumped"}) {
    if (arg.find(word) == std::string::npos) continue;
    *result_listener << "it holds " << word;
    return false;
  }
  return !arg.empty();
}

}  // namespace crescendo::cli
