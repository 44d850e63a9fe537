#include "crescendo/distributed/local_launcher.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>

#include "crescendo/base/error.h"
#include "crescendo/distributed/socket.h"

namespace crescendo::distributed {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLastWords{1000};

struct Worker {
  pid_t process = 0;
  Descriptor output;          // what it prints, but for worker 0
  std::string printed;        // the end of it
  std::optional<int> status;  // of waitpid, once it has ended
  bool given_up = false;      // killed by us: it did not end in time after another had failed

  bool failed() const { return status && (!WIFEXITED(*status) || WEXITSTATUS(*status) != 0); }
};

// The signals that the launcher waits for instead of being interrupted by them; as before once it is gone.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t waited;
    ::sigemptyset(&waited);
    for (const int signal : {SIGINT, SIGTERM, SIGCHLD}) ::sigaddset(&waited, signal);
    // Under nohup a closed terminal is no request; a blocked signal would come even so.
    struct sigaction hang_up {};
    ::sigaction(SIGHUP, nullptr, &hang_up);
    if (hang_up.sa_handler != SIG_IGN) ::sigaddset(&waited, SIGHUP);
    ::sigprocmask(SIG_BLOCK, &waited, &before_);
    descriptor_ = Descriptor(::signalfd(-1, &waited, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  ~BlockedSignals() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

  int descriptor() const { return descriptor_.number(); }
  const sigset_t& before() const { return before_; }

  // The next that has come; 0 where none has.
  int Next() const {
    signalfd_siginfo info{};
    return ::read(descriptor(), &info, sizeof(info)) == sizeof(info) ? static_cast<int>(info.ssi_signo) : 0;
  }

 private:
  sigset_t before_{};
  Descriptor descriptor_;
};

class Launch {
 public:
  Launch(const std::vector<std::string>& command, int64_t workers) : command_(command), workers_(workers) {
    Descriptor listener = ListenOn("127.0.0.1", 0);
    for (int64_t rank = 0; rank < workers; ++rank) Start(rank, listener);
  }

  ~Launch() { SendToAll(SIGKILL); }
  Launch(const Launch&) = delete;
  Launch& operator=(const Launch&) = delete;

  LaunchResult Wait(std::chrono::milliseconds grace) {
    LaunchResult result;
    while (std::ranges::any_of(workers_, [](const Worker& worker) { return !worker.status; })) {
      WaitForEvent();
      while (const int signal = signals_.Next()) {
        if (signal == SIGCHLD) continue;
        result.stopped = true;
        SendToAll(signal);
      }
      Reap();
      // Worker 0 may have a state to save; without it, the others have nothing to do but to say what they saw.
      const auto patience = workers_.front().status ? std::min(grace, kLastWords) : grace;
      if (first_failure_ && Clock::now() - failed_at_ > patience) GiveUpTheRest();
    }
    Judge(result);
    return result;
  }

 private:
  void Start(int64_t rank, const Descriptor& listener) {
    std::array<int, 2> pipe{-1, -1};
    if (rank > 0 && ::pipe2(pipe.data(), O_CLOEXEC) != 0) {
      throw RunError(fmt::format("no pipe for worker {}: {}", rank, std::strerror(errno)));
    }
    Worker& worker = workers_[static_cast<size_t>(rank)];
    worker.output = Descriptor(pipe[0]);
    const Descriptor input(pipe[1]);
    const std::map<std::string, std::string> place = {
        {"RANK", std::to_string(rank)},
        {"WORLD_SIZE", std::to_string(workers_.size())},
        {"LOCAL_RANK", std::to_string(rank)},
        {"LOCAL_WORLD_SIZE", std::to_string(workers_.size())},
        {"MASTER_ADDR", "127.0.0.1"},
        {"MASTER_PORT", std::to_string(PortOf(listener))},
        {"CRESCENDO_LISTENER", rank == 0 ? std::to_string(listener.number()) : ""}};
    const pid_t launcher = ::getpid();
    worker.process = ::fork();
    if (worker.process < 0) throw RunError(fmt::format("worker {} cannot start: {}", rank, std::strerror(errno)));
    if (worker.process > 0) {
      ::setpgid(worker.process, worker.process);  // here too: whoever comes first
      return;
    }
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != launcher) ::_exit(1);  // it died before it could be watched
    ::sigprocmask(SIG_SETMASK, &signals_.before(), nullptr);
    for (const auto& [name, value] : place) ::setenv(name.c_str(), value.c_str(), 1);
    ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
    if (rank == 0) {
      ::fcntl(listener.number(), F_SETFD, 0);  // survives exec
    } else {
      ::dup2(input.number(), STDOUT_FILENO);
      ::dup2(input.number(), STDERR_FILENO);
    }
    std::vector<char*> words;
    for (const std::string& word : command_) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    ::execv("/proc/self/exe", words.data());
    ::_exit(127);
  }

  void WaitForEvent() {
    std::vector<pollfd> waiting{{signals_.descriptor(), POLLIN, 0}};
    for (const Worker& worker : workers_) {
      if (worker.output.open()) waiting.push_back({worker.output.number(), POLLIN, 0});
    }
    ::poll(waiting.data(), waiting.size(), /*milliseconds=*/200);
    for (Worker& worker : workers_) {
      const auto entry = std::ranges::find(waiting, worker.output.number(), &pollfd::fd);
      if (worker.output.open() && entry != waiting.end() && entry->revents != 0) ReadFrom(worker);
    }
  }

  static void ReadFrom(Worker& worker) {
    constexpr size_t kKept = 8192;
    std::array<char, 4096> buffer{};
    const ssize_t count = ::read(worker.output.number(), buffer.data(), buffer.size());
    if (count <= 0) {
      worker.output = Descriptor();
      return;
    }
    worker.printed.append(buffer.data(), static_cast<size_t>(count));
    if (worker.printed.size() > kKept) worker.printed.erase(0, worker.printed.size() - kKept);
  }

  void Reap() {
    for (size_t rank = 0; rank < workers_.size(); ++rank) {
      Worker& worker = workers_[rank];
      int status = 0;
      if (worker.status || ::waitpid(worker.process, &status, WNOHANG) != worker.process) continue;
      worker.status = status;
      while (worker.output.open()) ReadFrom(worker);
      if (!worker.failed() || first_failure_) continue;
      first_failure_ = rank;
      failed_at_ = Clock::now();
    }
  }

  void SendToAll(int signal) const {
    for (const Worker& worker : workers_) {
      if (worker.process > 0 && !worker.status) ::kill(worker.process, signal);
    }
  }

  void GiveUpTheRest() {
    for (Worker& worker : workers_) worker.given_up |= !worker.status;
    SendToAll(SIGKILL);
  }

  void Judge(LaunchResult& result) const {
    if (!first_failure_) return;
    // Where one was ended by a signal, it is why the others stopped, even if one of them was seen to end first.
    const auto ended_by_signal = [](const Worker& worker) { return WIFSIGNALED(*worker.status) && !worker.given_up; };
    const auto killed = std::ranges::find_if(workers_, ended_by_signal);
    const Worker& worker = killed != workers_.end() ? *killed : workers_[*first_failure_];
    const auto rank = &worker - workers_.data();
    const int status = *worker.status;
    const Worker& speaker = workers_.front();
    if (result.stopped) {
      result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      return;
    }
    result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    if (WIFSIGNALED(status)) {
      result.reason = fmt::format("worker {} (process {}) was ended by signal {} ({})", rank, worker.process,
                                  WTERMSIG(status), ::strsignal(WTERMSIG(status)));
    } else if (!speaker.failed() || WIFSIGNALED(*speaker.status)) {
      result.reason = fmt::format("worker {}: {}", rank, worker.printed);
    }
  }

  const std::vector<std::string>& command_;
  BlockedSignals signals_;
  std::vector<Worker> workers_;
  std::optional<size_t> first_failure_;
  Clock::time_point failed_at_;
};

}  // namespace

LaunchResult RunWorkers(const std::vector<std::string>& command, int64_t workers, std::chrono::milliseconds grace) {
  return Launch(command, workers).Wait(grace);
}

}  // namespace crescendo::distributed
