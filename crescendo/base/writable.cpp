#include "crescendo/base/writable.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace crescendo {

namespace fs = std::filesystem;

std::string WhyNotWritable(const fs::path& folder) {
  std::string name = (folder / ".crescendo-XXXXXX").string();
  const int file = ::mkostemp(name.data(), O_CLOEXEC);
  if (file >= 0) {
    ::close(file);
    ::unlink(name.c_str());
    return "";
  }
  const int reason = errno;
  std::error_code error;
  const fs::file_status status = fs::status(folder, error);
  if (status.type() == fs::file_type::not_found) {
    return fmt::format("there is no folder {}", folder.string());
  }
  if (fs::is_regular_file(status)) return fmt::format("{} is a file and no folder", folder.string());
  return fmt::format("no file can be made in {}: {}", folder.string(), std::strerror(reason));
}

}  // namespace crescendo
