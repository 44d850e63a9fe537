#include "crescendo/profile/scratch_folder.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

#include "crescendo/base/error.h"

namespace crescendo::profile {

ScratchFolder::ScratchFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "crescendo-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) {
    throw RunError(fmt::format("cannot make a folder {}: {}", name, std::generic_category().message(errno)));
  }
  path_ = name;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace crescendo::profile
