// Starts the workers of one machine, and ends with them.
//
// Each is a process of its own, which finds its place in the environment (worker_place.h), in a process group of its
// own, so that Ctrl-C reaches the launcher alone. SIGINT, SIGTERM and SIGHUP are passed on to all, who then end as a
// single process would. Worker 0 has the launcher's output; what the others print is kept and shown only where one of
// them is the reason why the run failed. If the launcher is killed, its workers end too.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace crescendo::distributed {

struct LaunchResult {
  int exit_code = 0;     // as a single process would have ended: 0, 1, 2, 128 + n
  bool stopped = false;  // by a signal to the launcher
  // Why the run failed, where no worker that shares our output can have said it; else "".
  std::string reason;
};

// Starts `command` so many times and waits until all have ended. Once one has failed the others, who hear of it by
// themselves, have `grace` to end, or a second where worker 0 has ended; then they are killed. Single-threaded; not to
// be used while threads run.
LaunchResult RunWorkers(const std::vector<std::string>& command, int64_t workers, std::chrono::milliseconds grace);

}  // namespace crescendo::distributed
