// A training run that goes on when it is told to, so that it can be measured in turns with other programs:
//
//   train_on_request CONFIG [key=value ...]
//
// prints "ready", and the number of threads, after the first updates; for each line "N" on its standard input it does N
// more updates and prints the seconds they took. At the end of the input it stops. The run is the one that `crescendo
// train` does, into a temporary folder.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iostream>

#include "crescendo/base/error.h"
#include "crescendo/config/load.h"
#include "crescendo/device/device.h"
#include "crescendo/train/session.h"
#include "tests/support/temporary_folder.h"

namespace crescendo::benchmarks {
namespace {

// Holds the run up between two updates.
class Gate : public train::Observer {
 public:
  explicit Gate(std::atomic<int>& stop) : stop_(stop) {}

  void OnUpdate(const report::UpdateRecord& /*record*/) override {
    if (--updates_left_ > 0 || stop_ != 0) return;
    if (asked_) {
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin_;
      std::cout << fmt::format("{:.6f}", seconds.count()) << std::endl;
    } else {
      std::cout << fmt::format("ready {}", device::Threads()) << std::endl;
    }
    asked_ = true;
    if (!(std::cin >> updates_left_)) stop_ = 1;
    begin_ = std::chrono::steady_clock::now();
  }

 private:
  std::atomic<int>& stop_;
  bool asked_ = false;
  int64_t updates_left_ = 3;  // to warm up
  std::chrono::steady_clock::time_point begin_;
};

}  // namespace
}  // namespace crescendo::benchmarks

int main(int argc, char** argv) {
  using namespace crescendo;  // NOLINT(google-build-using-namespace): a program
  try {
    if (argc < 2) throw UserError("usage: train_on_request CONFIG [key=value ...]");
    const support::TemporaryFolder temporary;
    const config::Options options = config::LoadFile(argv[1], {argv + 2, argv + argc});
    std::atomic<int> stop = 0;
    benchmarks::Gate gate(stop);
    train::TrainInto(train::RunFolder::Create(temporary / "run", /*force=*/false), options, {&gate}, stop);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "train_on_request: " << error.what() << '\n';
    return 1;
  }
}
