#include "tests/cli/program.h"

#include <sstream>

#include "crescendo/base/file.h"

namespace crescendo::cli {
namespace {

constexpr const char* kSmallConfig = R"([data]
name = "csv"
train_file = "table.csv"
test_examples = 60

[model]
name = "mlp"
hidden = [16]
ghost_batch = 8

[reference]
global_batch = 8
learning_rate = 0.1
boundaries = ["2ep", "3ep"]
factor = 0.5

[schedule]
length = "4ep"
max_batch = "none"

[run]
device = "cpu"
threads = 1
micro_batch = 8
)";

// Points of a grid, whose class is the larger coordinate, or neither.
std::string Table() {
  std::ostringstream out;
  for (int i = 0; i < 300; ++i) {
    const int x = i * 7 % 20;
    const int y = i * 11 % 19;
    out << x << ',' << y << ',' << (x > y + 3 ? "right" : y > x + 3 ? "up" : "between") << '\n';
  }
  return out.str();
}

}  // namespace

ProgramTest::ProgramTest() {
  folder_.Write("small.toml", kSmallConfig);
  folder_.Write("table.csv", Table());
}

support::ProcessResult ProgramTest::Crescendo(std::vector<std::string> arguments,
                                              support::ProcessOptions options) const {
  arguments.insert(arguments.begin(), CRESCENDO_PROGRAM);
  options.folder = folder_.path().string();
  return support::RunProcess(arguments, options);
}

void ProgramTest::TrainSmall(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), {"train", "small.toml", "--out", "run"});
  const support::ProcessResult result = Crescendo(arguments);
  ASSERT_EQ(result.exit_code, 0) << result.errors;
}

std::string ProgramTest::Read(const std::string& name) const { return ReadFile(folder_ / name); }

std::vector<nlohmann::json> ProgramTest::Log(const std::string& name) const {
  std::vector<nlohmann::json> records;
  for (const std::string& line : Lines(Read(name))) records.push_back(nlohmann::json::parse(line));
  return records;
}

std::vector<std::string> Lines(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> Keys(const nlohmann::ordered_json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  return keys;
}

}  // namespace crescendo::cli
