#include "crescendo/study/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "crescendo/base/error.h"

namespace crescendo::study {
namespace {

constexpr int kCannotStart = 127;  // as a shell says

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> Environment(const std::vector<std::string>& changes) {
  std::vector<std::string> environment = changes;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    const std::string name = text.substr(0, text.find('=') + 1);
    bool changed = false;
    for (const std::string& change : changes) changed = changed || change.starts_with(name);
    if (!changed) environment.push_back(text);
  }
  return environment;
}

}  // namespace

pid_t StartChild(const ChildRequest& request) {
  // All memory is taken before the fork: between it and exec only calls are made that are safe there.
  std::vector<std::string> words = request.words;
  std::vector<std::string> environment = Environment(request.changes);
  const std::vector<char*> arguments = Pointers(words);
  const std::vector<char*> variables = Pointers(environment);
  const int output = ::open(request.output.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (output < 0) throw RunError(fmt::format("cannot write {}: {}", request.output.string(), std::strerror(errno)));
  const int input = ::open("/dev/null", O_RDONLY | O_CLOEXEC);

  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(kCannotStart);  // it died in between
    ::dup2(input, STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    ::execve(arguments[0], arguments.data(), variables.data());
    ::_exit(kCannotStart);
  }
  const int reason = errno;
  ::close(output);
  ::close(input);
  if (child < 0) throw RunError(fmt::format("cannot start a process: {}", std::strerror(reason)));
  return child;
}

std::optional<int> EndOfChild(pid_t child) {
  int status = 0;
  const pid_t ended = ::waitpid(child, &status, WNOHANG);
  if (ended == child) return status;
  return std::nullopt;
}

std::string DescribeEnd(int status) {
  if (WIFSIGNALED(status)) return fmt::format("signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
  return fmt::format("exit code {}", WEXITSTATUS(status));
}

}  // namespace crescendo::study
