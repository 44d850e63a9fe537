// A child process that ends when its parent does, and that only its parent's signals reach.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace crescendo::study {

struct ChildRequest {
  std::vector<std::string> words;    // the program and its arguments
  std::vector<std::string> changes;  // to the environment: "NAME=value"
  std::filesystem::path output;      // stdout and stderr go here; replaced
};

// In a process group of its own, so that Ctrl-C on the terminal comes to the parent, which passes it on once. If the
// parent dies, the child gets SIGTERM. RunError where no process can be had.
pid_t StartChild(const ChildRequest& request);

// Of a child that has ended, its status as waitpid gives it; nothing while it runs.
std::optional<int> EndOfChild(pid_t child);

// "exit code 1", "signal 9 (Killed)".
std::string DescribeEnd(int status);

}  // namespace crescendo::study
