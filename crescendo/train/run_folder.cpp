#include "crescendo/train/run_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <thread>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "crescendo/base/writable.h"
#include "crescendo/config/describe.h"
#include "crescendo/config/digest.h"
#include "crescendo/report/event_log.h"
#include "crescendo/report/plan_report.h"
#include "crescendo/report/run_log.h"
#include "crescendo/train/checkpoint.h"

namespace crescendo::train {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void FailToMake(const fs::path& path, const std::error_code& error) {
  throw UserError(fmt::format("cannot make the folder {}: {}", path.string(), error.message()));
}

void MakeFolder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) FailToMake(path, error);
}

// Of a path and the folders above it, the first that is there.
fs::path NearestThatExists(fs::path path) {
  std::error_code error;
  while (path.has_relative_path() && !fs::exists(path, error)) path = path.parent_path();
  return path.empty() ? "." : path;
}

// A link to a folder elsewhere is somebody's choice, and stays.
void RemoveIfEmpty(const fs::path& folder) {
  std::error_code error;
  if (fs::is_directory(fs::symlink_status(folder, error)) && fs::is_empty(folder, error)) fs::remove(folder, error);
}

// Of a config.toml that a run wrote, since other programs have files of that name too.
constexpr std::string_view kConfigMark = "# crescendo run\n";

bool BeginsWith(const fs::path& path, std::string_view text) {
  std::ifstream file(path, std::ios::binary);
  std::string begin(text.size(), '\0');
  return file.read(begin.data(), static_cast<std::streamsize>(begin.size())) && begin == text;
}

}  // namespace

void RunFolder::RequireUsable(const fs::path& path, bool force, std::string_view flag) {
  const auto refuse = [&](std::string_view reason) {
    throw UserError(fmt::format("{} cannot be the folder for the run: {}", path.string(), reason));
  };
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::none) refuse(error.message());  // not even its absence can be seen
  if (fs::exists(status) && !fs::is_directory(status)) {
    throw UserError(fmt::format("{} is a file; {} takes the folder for the run", path.string(), flag));
  }
  const RunFolder folder(path);
  const bool holds_run = folder.HoldsRun();
  if (folder.HoldsFiles() && !(force && holds_run)) {
    const std::string name = folder.FirstFound().filename().string();
    const std::string replace = flag == "--out" ? ", or --force to replace that run" : "";
    throw UserError(
        holds_run ? fmt::format("{} already holds a run ({}); choose another {}{}", path.string(), name, flag, replace)
                  : fmt::format("{} holds {}, which is of no run, and a run would write over it; choose another {}, or "
                                "move it away",
                                path.string(), name, flag));
  }
  if (const std::string reason = WhyNotWritable(NearestThatExists(path)); !reason.empty()) refuse(reason);
}

RunFolder RunFolder::Create(const fs::path& path, bool force, std::string_view flag) {
  RequireUsable(path, force, flag);
  RunFolder folder(path);
  MakeFolder(path);
  folder.Lock();
  folder.Clear();
  return folder;
}

RunFolder RunFolder::CreateNext(const fs::path& parent, const std::string& name) {
  RunFolder folder = ReserveNext(parent, name);
  folder.Lock();
  return folder;
}

RunFolder RunFolder::ReserveNext(const fs::path& parent, const std::string& name) {
  MakeFolder(parent);
  for (int number = 1;; ++number) {
    RunFolder folder(parent / fmt::format("{}-{:03}", name, number));
    std::error_code error;
    const bool is_ours = fs::create_directory(folder.path(), error);  // false where another was first
    if (error) FailToMake(folder.path(), error);
    if (is_ours) return folder;
  }
}

fs::path RunFolder::FirstFound() const {
  std::error_code ignored;
  for (const fs::path& file : {config(), plan(), log(), weights(), events(), checkpoints()}) {
    if (fs::exists(file, ignored)) return file;
  }
  return {};
}

bool RunFolder::HoldsRun() const {
  return BeginsWith(log(), report::kRunLogBegin) || BeginsWith(config(), kConfigMark) ||
         BeginsWith(path_ / "trial.toml", config::kTrialMark);
}

std::vector<fs::path> RunFolder::Files() const {
  std::vector<fs::path> files = report::EventFilesIn(events());
  const std::vector<fs::path> of_checkpoints = FilesOfCheckpoints(checkpoints());
  files.insert(files.end(), of_checkpoints.begin(), of_checkpoints.end());
  for (const fs::path& file : {weights(), config(), plan()}) {
    files.insert(files.end(), {fs::path(file) += ".part", file});  // the first of a write that was killed
  }
  files.push_back(log());
  return files;
}

bool RunFolder::WouldClear(const fs::path& file) const {
  std::error_code ignored;
  return std::ranges::any_of(Files(), [&](const fs::path& ours) { return fs::equivalent(ours, file, ignored); });
}

void RunFolder::Clear() const {
  for (const fs::path& file : Files()) {
    std::error_code error;
    fs::remove(file, error);
    if (error) throw UserError(fmt::format("cannot replace {}: {}", file.string(), error.message()));
  }
  for (const char* kind : report::kEventFolders) RemoveIfEmpty(events() / kind);
  RemoveIfEmpty(events());
  RemoveIfEmpty(checkpoints());
}

void RunFolder::Lock() const {
  static std::mutex mutex;
  static std::map<fs::path, int> locked;  // a process may train in a folder more than once
  const fs::path key = fs::weakly_canonical(path_);
  const std::lock_guard guard(mutex);
  if (locked.contains(key)) return;
  if (const std::string reason = WhyNotWritable(path_); !reason.empty()) throw UserError(reason);
  const int folder = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) throw UserError(fmt::format("cannot open the folder {}: {}", path_.string(), std::strerror(errno)));
  // A report that looks whether anybody trains here holds the lock for a moment.
  constexpr int kTries = 20;
  int failed = ::flock(folder, LOCK_EX | LOCK_NB);
  for (int i = 1; i < kTries && failed != 0 && errno == EWOULDBLOCK; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    failed = ::flock(folder, LOCK_EX | LOCK_NB);
  }
  if (failed != 0) {
    const bool taken = errno == EWOULDBLOCK;
    ::close(folder);
    // File systems without locks exist; there the user has to take care.
    if (!taken) return;
    throw UserError(fmt::format("another process trains in {} now", path_.string()));
  }
  locked[key] = folder;
}

void RunFolder::WriteConfigAndPlan(const config::Options& options, const schedule::Plan& plan) const {
  WriteFileAtomically(config(), std::string(kConfigMark) + config::ToToml(options));
  WriteFileAtomically(this->plan(), report::PlanJson(plan));
}

}  // namespace crescendo::train
