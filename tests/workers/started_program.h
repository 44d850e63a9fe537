// A program that runs beside the test, with all the processes it starts.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/temporary_folder.h"

namespace crescendo::support {

using Seconds = std::chrono::duration<double>;

// Whether it came true in this time; asked twenty times a second.
bool WaitUntil(Seconds time, const std::function<bool()>& condition);

// Whether the shell finds a program of this name.
bool HasProgram(const std::string& name);

class StartedProgram {
 public:
  // The first argument is the program. `environment`: added to the test's.
  explicit StartedProgram(const std::vector<std::string>& arguments,
                          const std::map<std::string, std::string>& environment = {});
  ~StartedProgram();  // kills it and all it has started
  StartedProgram(const StartedProgram&) = delete;
  StartedProgram& operator=(const StartedProgram&) = delete;

  pid_t process() const { return process_; }
  void Signal(int signal) const;

  // Its exit code, 128 + n where signal n ended it; nothing if it goes on for longer than this.
  std::optional<int> Wait(Seconds time);

  // What it and its descendants have printed so far, both streams.
  std::string printed() const;

  // A process that it has started, directly or not, in whose environment this stands ("RANK=2"); 0 where there is none.
  pid_t Descendant(const std::string& environment_entry) const;
  std::vector<pid_t> Descendants() const;

 private:
  TemporaryFolder folder_;
  pid_t process_ = 0;
  std::optional<int> exit_code_;
};

}  // namespace crescendo::support
