// Runs a real program and says what it printed and how it ended.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace crescendo::support {

struct ProcessResult {
  int exit_code = 0;  // 128 + n where signal n ended it, as a shell says
  std::string output;
  std::string errors;
};

struct ProcessOptions {
  int signal_after_text = 0;  // sends this signal once `text` has been seen on stderr
  std::string text = {};
  // Ends it with SIGKILL once this is true; asked about every millisecond, with what it has printed on stderr.
  std::function<bool(const std::string& errors)> kill_when = {};
  std::string folder = {};  // to run in; "" here
};

// The first argument is the program.
ProcessResult RunProcess(const std::vector<std::string>& arguments, const ProcessOptions& options = {});

}  // namespace crescendo::support
