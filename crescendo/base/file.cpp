#include "crescendo/base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <stdexcept>

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
  const Descriptor file(path, O_RDONLY | O_CLOEXEC);
  struct stat status {};
  const bool is_open = file.get() >= 0 && ::fstat(file.get(), &status) == 0;
  if (!is_open || S_ISDIR(status.st_mode)) {
    const char* reason = is_open ? "it is a folder" : std::strerror(errno);
    throw UserError(fmt::format("cannot read {}: {}", path.string(), reason));
  }
  // What it had when it was opened; 0 for what is no file, such as a pipe.
  const auto size = static_cast<size_t>(status.st_size);
  std::string content;
  size_t length = 0;
  const auto fail = [&](std::string_view reason) {
    throw RunError(fmt::format("cannot read {}: {}", path.string(), reason));
  };
  const auto fail_for_memory = [&] { fail(fmt::format("not enough memory for its {} bytes", size)); };
  try {
    content.resize(size);
    while (true) {
      constexpr size_t kChunk = size_t{1} << 16;
      if (length == content.size()) content.resize(length + std::max(kChunk, length / 2));
      const ssize_t count = ::read(file.get(), content.data() + length, content.size() - length);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) fail(std::strerror(errno));
      if (count == 0) break;
      length += static_cast<size_t>(count);
    }
  } catch (const std::bad_alloc&) {
    fail_for_memory();
  } catch (const std::length_error&) {  // more than any string holds
    fail_for_memory();
  }
  if (length < size) fail(fmt::format("it ended after {} of {} bytes", length, size));
  content.resize(length);
  return content;
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
  SyncFolder(path.has_parent_path() ? path.parent_path() : ".");
}

void SyncFile(const std::filesystem::path& path) {
  Descriptor file(path, O_RDONLY | O_CLOEXEC);
  if (file.get() < 0 && errno == ENOENT) return;
  if (file.get() < 0 || ::fsync(file.get()) != 0) FailWriting(path);
}

void SyncFolder(const std::filesystem::path& path) {
  const Descriptor folder(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder.get() >= 0) ::fsync(folder.get());
}

}  // namespace crescendo
