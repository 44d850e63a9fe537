#include "crescendo/cli/output_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "crescendo/base/writable.h"
#include "crescendo/train/run_folder.h"

namespace crescendo::cli {
namespace {

namespace fs = std::filesystem;

// Of tables that `report` and `predict` write.
bool BeginsLikeOurs(const fs::path& csv) {
  std::string line;
  std::getline(std::ifstream(csv), line);
  return line.empty() || line.starts_with("variant,seed,state,") || line.starts_with("example,class,probability");
}

bool MayBeOurs(const fs::path& path) {
  constexpr std::array<std::string_view, 6> kEndings = {".svg", ".html", ".md", ".csv", ".json", ".txt"};
  const std::string ending = path.extension().string();
  const bool of_a_run = fs::exists(train::RunFolder(fs::absolute(path).parent_path()).config());
  if (std::ranges::find(kEndings, ending) == kEndings.end() || of_a_run) return false;
  // The user's own data are tables too.
  return ending != ".csv" || BeginsLikeOurs(path);
}

}  // namespace

void RequireWritable(std::string_view flag, const std::string& path) {
  if (fs::is_directory(path)) throw UserError(fmt::format("{} {}: it is a folder; give a name in it", flag, path));
  const fs::path folder = fs::path(path).parent_path();
  const std::string reason = WhyNotWritable(folder.empty() ? "." : folder);
  if (!reason.empty()) throw UserError(fmt::format("{} {}: {}", flag, path, reason));
}

void RequireOutput(std::string_view flag, const std::string& path) {
  RequireWritable(flag, path);
  if (fs::exists(path) && !MayBeOurs(path)) {
    throw UserError(
        fmt::format("{} {}: there is such a file, which crescendo has not made; give another name", flag, path));
  }
}

void WriteOutput(const std::string& path, const std::string& text) {
  if (path.empty()) {
    std::cout << text;
    return;
  }
  WriteFileAtomically(path, text);
  std::cerr << path << '\n';
}

}  // namespace crescendo::cli
