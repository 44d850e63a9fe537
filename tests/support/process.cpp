#include "tests/support/process.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <thread>

namespace crescendo::support {
namespace {

constexpr unsigned kLongestSeconds = 120;

// What a child writes into, and where we read it.
struct Channel {
  int read_end = -1;
  int write_end = -1;
};

Channel MakePipe() {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) std::abort();
  return {ends[0], ends[1]};
}

Channel MakeTerminal(int columns) {
  Channel channel;
  winsize size{};
  size.ws_col = static_cast<unsigned short>(columns);
  size.ws_row = 24;
  if (::openpty(&channel.read_end, &channel.write_end, nullptr, nullptr, &size) != 0) std::abort();
  return channel;
}

void Limit(int resource, int64_t bytes) {
  const rlimit limit{static_cast<rlim_t>(bytes), static_cast<rlim_t>(bytes)};
  ::setrlimit(static_cast<__rlimit_resource_t>(resource), &limit);
}

[[noreturn]] void Become(const std::vector<std::string>& arguments, const ProcessOptions& options, int output,
                         int errors) {
  if (!options.folder.empty() && ::chdir(options.folder.c_str()) != 0) ::_exit(126);
  for (const auto& [name, value] : options.environment) ::setenv(name.c_str(), value.c_str(), 1);
  if (!options.output_file.empty()) output = ::open(options.output_file.c_str(), O_WRONLY | O_CREAT, 0644);
  ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(errors, STDERR_FILENO);
  SetDefaultSignals();
  if (options.largest_file >= 0) Limit(RLIMIT_FSIZE, options.largest_file);
  if (options.most_memory >= 0) Limit(RLIMIT_AS, options.most_memory);
  ::alarm(kLongestSeconds);
  std::vector<char*> words;
  for (const std::string& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  ::execvp(words[0], words.data());
  ::_exit(127);
}

// False once the other end is closed (which a terminal calls an error).
bool ReadInto(std::string& text, int descriptor) {
  std::array<char, 4096> buffer{};
  const ssize_t count = ::read(descriptor, buffer.data(), buffer.size());
  if (count <= 0) return false;
  text.append(buffer.data(), static_cast<size_t>(count));
  return true;
}

}  // namespace

void SetDefaultSignals() {
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

bool SystemGivesTerminals() {
  Channel channel;
  if (::openpty(&channel.read_end, &channel.write_end, nullptr, nullptr, nullptr) != 0) return false;
  ::close(channel.read_end);
  ::close(channel.write_end);
  return true;
}

ProcessResult RunProcess(const std::vector<std::string>& arguments, const ProcessOptions& options) {
  const Channel output = MakePipe();
  const Channel errors = options.terminal_columns > 0 ? MakeTerminal(options.terminal_columns) : MakePipe();
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(output.read_end);
    ::close(errors.read_end);
    Become(arguments, options, output.write_end, errors.write_end);
  }
  ::close(output.write_end);
  ::close(errors.write_end);

  ProcessResult result;
  auto next_signal = options.signals.begin();
  std::array<pollfd, 2> waiting{pollfd{output.read_end, POLLIN, 0}, pollfd{errors.read_end, POLLIN, 0}};
  int open_ends = 2;
  while (open_ends > 0) {
    ::poll(waiting.data(), waiting.size(), options.kill_when ? 1 : -1);
    if (options.kill_when && options.kill_when(result.errors)) ::kill(child, SIGKILL);
    for (pollfd& end : waiting) {
      if (end.fd < 0 || end.revents == 0) continue;
      if (!ReadInto(end.fd == output.read_end ? result.output : result.errors, end.fd)) {
        end.fd = -1;
        --open_ends;
      }
    }
    while (next_signal != options.signals.end() && result.errors.find(next_signal->after_text) != std::string::npos) {
      std::this_thread::sleep_for(std::chrono::milliseconds(next_signal->after_milliseconds));
      ::kill(child, next_signal->number);
      ++next_signal;
    }
  }
  ::close(output.read_end);
  ::close(errors.read_end);
  int status = 0;
  rusage usage{};
  ::wait4(child, &status, 0, &usage);
  result.peak_memory = int64_t{1024} * usage.ru_maxrss;
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + result.signal;
  return result;
}

}  // namespace crescendo::support
