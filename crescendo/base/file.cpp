#include "crescendo/base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "crescendo/base/error.h"

namespace crescendo {
namespace {

class Descriptor {
 public:
  Descriptor(const std::filesystem::path& path, int flags) : descriptor_(::open(path.c_str(), flags, 0644)) {}
  ~Descriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

[[noreturn]] void FailWriting(const std::filesystem::path& path) {
  throw RunError(fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)));
}

}  // namespace

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream || std::filesystem::is_directory(path)) {
    const char* reason = std::filesystem::is_directory(path) ? "it is a folder" : std::strerror(errno);
    throw UserError(fmt::format("cannot read {}: {}", path.string(), reason));
  }
  std::ostringstream content;
  content << stream.rdbuf();
  return std::move(content).str();
}

void WriteFileAtomically(const std::filesystem::path& path, std::string_view bytes) {
  std::filesystem::path part = path;
  part += ".part";
  // What was written goes away: on a full disk it would stand in the way of everything else.
  const auto fail = [&] {
    const int reason = errno;
    ::unlink(part.c_str());
    errno = reason;
    FailWriting(path);
  };
  {
    Descriptor file(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC);
    if (file.get() < 0) FailWriting(path);
    while (!bytes.empty()) {
      const ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail();
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    if (::fsync(file.get()) != 0) fail();
  }
  if (::rename(part.c_str(), path.c_str()) != 0) fail();
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  Descriptor directory(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory.get() >= 0) ::fsync(directory.get());
}

void SyncFile(const std::filesystem::path& path) {
  Descriptor file(path, O_RDONLY | O_CLOEXEC);
  if (file.get() < 0 && errno == ENOENT) return;
  if (file.get() < 0 || ::fsync(file.get()) != 0) FailWriting(path);
}

}  // namespace crescendo
