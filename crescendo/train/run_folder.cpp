#include "crescendo/train/run_folder.h"

#include <fmt/format.h>

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
  const fs::path files[] = {folder.config(), folder.plan(), folder.log(), folder.weights(), folder.events()};
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
  return folder;
}

fs::path RunFolder::NextFree(const fs::path& parent, const std::string& name) {
  for (int number = 1;; ++number) {
    fs::path path = parent / fmt::format("{}-{:03}", name, number);
    if (!fs::exists(path)) return path;
  }
}

void RunFolder::WriteConfigAndPlan(const config::Options& options, const schedule::Plan& plan) const {
  WriteFileAtomically(config(), config::ToToml(options));
  WriteFileAtomically(this->plan(), report::PlanJson(plan));
}

}  // namespace crescendo::train
