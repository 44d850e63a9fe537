// A folder for files that nobody is to see, gone when this is.
#pragma once

#include <filesystem>

namespace crescendo::profile {

class ScratchFolder {
 public:
  ScratchFolder();  // below the system's folder for temporary files; RunError where it cannot be made
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace crescendo::profile
