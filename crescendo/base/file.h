// Files, written so that a reader never sees half of one.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace crescendo {

// The whole content of `path`, never a part. UserError where it cannot be opened, RunError where reading fails.
std::string ReadFile(const std::filesystem::path& path);

// Replaces `path` by `bytes` in one step: written beside it as "<name>.part", fsync'ed, renamed, and the folder
// fsync'ed. After a crash the old content or the new one is there, never a mixture. RunError, with the system's reason,
// if it cannot be done; the old file is then untouched, and what was written of the new one is removed.
void WriteFileAtomically(const std::filesystem::path& path, std::string_view bytes);

// Waits until what was written to `path`, by whomever, is on the disk. RunError if that fails; a file that is not there
// is left so.
void SyncFile(const std::filesystem::path& path);

// The same for which files a folder holds. Not every file system can do that, so a failure is not told.
void SyncFolder(const std::filesystem::path& path);

}  // namespace crescendo
