#include "crescendo/train/run_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "crescendo/config/describe.h"
#include "crescendo/report/plan_report.h"

namespace crescendo::train {

namespace fs = std::filesystem;

RunFolder RunFolder::Create(const fs::path& path, bool force) {
  RunFolder folder(path);
  if (fs::exists(path) && !fs::is_directory(path)) {
    throw UserError(fmt::format("{} is a file; --out takes the folder for the run", path.string()));
  }
  if (fs::exists(path)) folder.Lock();
  const fs::path files[] = {folder.config(),  folder.plan(),   folder.log(),
                            folder.weights(), folder.events(), folder.checkpoints()};
  for (const fs::path& file : files) {
    if (!fs::exists(file)) continue;
    if (!force) {
      throw UserError(fmt::format("{} already holds a run ({}); choose another --out, or --force to replace that run",
                                  path.string(), file.filename().string()));
    }
    fs::remove_all(file);
  }
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw UserError(fmt::format("cannot make the folder {}: {}", path.string(), error.message()));
  folder.Lock();
  return folder;
}

fs::path RunFolder::NextFree(const fs::path& parent, const std::string& name) {
  for (int number = 1;; ++number) {
    fs::path path = parent / fmt::format("{}-{:03}", name, number);
    if (!fs::exists(path)) return path;
  }
}

void RunFolder::Lock() const {
  static std::mutex mutex;
  static std::map<fs::path, int> locked;  // a process may train in a folder more than once
  const fs::path key = fs::weakly_canonical(path_);
  const std::lock_guard guard(mutex);
  if (locked.contains(key)) return;
  const int folder = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) throw UserError(fmt::format("cannot open the folder {}: {}", path_.string(), std::strerror(errno)));
  if (::flock(folder, LOCK_EX | LOCK_NB) != 0) {
    const bool taken = errno == EWOULDBLOCK;
    ::close(folder);
    // File systems without locks exist; there the user has to take care.
    if (!taken) return;
    throw UserError(fmt::format("another process trains in {} now", path_.string()));
  }
  locked[key] = folder;
}

void RunFolder::WriteConfigAndPlan(const config::Options& options, const schedule::Plan& plan) const {
  WriteFileAtomically(config(), config::ToToml(options));
  WriteFileAtomically(this->plan(), report::PlanJson(plan));
}

}  // namespace crescendo::train
