#include "tests/support/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

namespace crescendo::support {
namespace {

std::array<int, 2> MakePipe() {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) std::abort();
  return ends;
}

[[noreturn]] void Become(const std::vector<std::string>& arguments, const std::string& folder, int output, int errors) {
  if (!folder.empty() && ::chdir(folder.c_str()) != 0) ::_exit(126);
  ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(errors, STDERR_FILENO);
  std::vector<char*> words;
  for (const std::string& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  ::execvp(words[0], words.data());
  ::_exit(127);
}

// False once the other end is closed.
bool ReadInto(std::string& text, int descriptor) {
  std::array<char, 4096> buffer{};
  const ssize_t count = ::read(descriptor, buffer.data(), buffer.size());
  if (count <= 0) return false;
  text.append(buffer.data(), static_cast<size_t>(count));
  return true;
}

}  // namespace

ProcessResult RunProcess(const std::vector<std::string>& arguments, const ProcessOptions& options) {
  const auto output = MakePipe();
  const auto errors = MakePipe();
  const pid_t child = ::fork();
  if (child == 0) Become(arguments, options.folder, output[1], errors[1]);
  ::close(output[1]);
  ::close(errors[1]);

  ProcessResult result;
  bool signalled = options.signal_after_text == 0;
  std::array<pollfd, 2> waiting{pollfd{output[0], POLLIN, 0}, pollfd{errors[0], POLLIN, 0}};
  int open_ends = 2;
  while (open_ends > 0) {
    ::poll(waiting.data(), waiting.size(), options.kill_when ? 1 : -1);
    if (options.kill_when && options.kill_when(result.errors)) ::kill(child, SIGKILL);
    for (pollfd& end : waiting) {
      if (end.fd < 0 || end.revents == 0) continue;
      if (!ReadInto(end.fd == output[0] ? result.output : result.errors, end.fd)) {
        end.fd = -1;
        --open_ends;
      }
    }
    if (!signalled && result.errors.find(options.text) != std::string::npos) {
      ::kill(child, options.signal_after_text);
      signalled = true;
    }
  }
  ::close(output[0]);
  ::close(errors[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace crescendo::support
