#include "tests/workers/started_program.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "tests/support/process.h"

namespace crescendo::support {
namespace {

std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

// The fourth word of /proc/PID/stat, after the name in parentheses.
pid_t ParentOf(pid_t process) {
  const std::string stat = ReadAll("/proc/" + std::to_string(process) + "/stat");
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream words(stat.substr(name_end + 1));
  std::string state;
  pid_t parent = 0;
  words >> state >> parent;
  return state == "Z" ? 0 : parent;
}

}  // namespace

bool WaitUntil(Seconds time, const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + time;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return true;
}

bool HasProgram(const std::string& name) {
  return std::system(("command -v " + name + " > /dev/null 2>&1").c_str()) == 0;
}

StartedProgram::StartedProgram(const std::vector<std::string>& arguments,
                               const std::map<std::string, std::string>& environment) {
  // Orphans become ours, so that all descendants can be found and ended.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  process_ = ::fork();
  if (process_ > 0) return;
  for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
  SetDefaultSignals();
  ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
  const int output = ::open((folder_ / "printed").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  std::vector<char*> words;
  for (const std::string& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  ::execvp(words[0], words.data());
  ::_exit(127);
}

StartedProgram::~StartedProgram() {
  const std::vector<pid_t> descendants = Descendants();
  if (!exit_code_) ::kill(process_, SIGKILL);
  for (const pid_t descendant : descendants) ::kill(descendant, SIGKILL);
  if (!exit_code_) ::waitpid(process_, nullptr, 0);
  for (const pid_t descendant : descendants) ::waitpid(descendant, nullptr, 0);
}

void StartedProgram::Signal(int signal) const { ::kill(process_, signal); }

std::optional<int> StartedProgram::Wait(Seconds time) {
  WaitUntil(time, [this] {
    int status = 0;
    if (!exit_code_ && ::waitpid(process_, &status, WNOHANG) == process_) {
      exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    return exit_code_.has_value();
  });
  return exit_code_;
}

std::string StartedProgram::printed() const { return ReadAll(folder_ / "printed"); }

std::vector<pid_t> StartedProgram::Descendants() const {
  std::map<pid_t, pid_t> parents;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const pid_t process = std::atoi(entry.path().filename().c_str());
    if (process > 0) parents[process] = ParentOf(process);
  }
  std::set<pid_t> known{process_};
  std::vector<pid_t> descendants;
  for (bool grown = true; grown;) {
    grown = false;
    for (const auto& [process, parent] : parents) {
      // Orphans have become the test's own.
      const bool orphan = parent == ::getpid() && process != process_;
      if ((!known.contains(parent) && !orphan) || !known.insert(process).second) continue;
      descendants.push_back(process);
      grown = true;
    }
  }
  return descendants;
}

pid_t StartedProgram::Descendant(const std::string& environment_entry) const {
  for (const pid_t process : Descendants()) {
    const std::string environment = '\0' + ReadAll("/proc/" + std::to_string(process) + "/environ");
    if (environment.find('\0' + environment_entry + '\0') != std::string::npos) return process;
  }
  return 0;
}

}  // namespace crescendo::support
