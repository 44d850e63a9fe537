// Runs a real program and says what it printed and how it ended.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace crescendo::support {

struct ProcessResult {
  int exit_code = 0;        // 128 + n where signal n ended it, as a shell says
  int signal = 0;           // the n, 0 where it ended by itself
  int64_t peak_memory = 0;  // bytes, of the program itself
  std::string output;
  std::string errors;
};

struct Signal {
  int number = 0;
  std::string after_text;      // is sent once this stands on stderr,
  int after_milliseconds = 0;  // so much later, and after the signal before it
};

struct ProcessOptions {
  std::string folder = {};                              // to run in; "" here
  std::map<std::string, std::string> environment = {};  // set besides ours
  std::vector<Signal> signals = {};
  // Ends it with SIGKILL once this is true; asked about every millisecond, with what it has printed on stderr.
  std::function<bool(const std::string& errors)> kill_when = {};
  std::string output_file = {};  // where stdout goes; "": into the result
  int terminal_columns = 0;      // above 0: stderr is a terminal so wide; REQUIRES SystemGivesTerminals()
  int64_t most_memory = -1;      // bytes of address space; below 0: no limit
  int64_t largest_file = -1;     // bytes that a file it writes may have; below 0: no limit
};

// For a child, before it becomes a program: signals as a terminal's programs have them, whatever this process was
// started with (nohup ignores SIGHUP, a shell's & SIGINT, and that is inherited).
void SetDefaultSignals();

// False where /dev/pts is not there, as in a plain chroot.
bool SystemGivesTerminals();

// The first argument is the program. One that runs for two minutes is ended by SIGALRM.
ProcessResult RunProcess(const std::vector<std::string>& arguments, const ProcessOptions& options = {});

}  // namespace crescendo::support
