// Known files out of an archive, and nothing else.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace crescendo::data {

struct ArchiveFile {
  std::string path;  // in the archive, and below the folder it is unpacked into
  int64_t size;      // bytes
};

// Unpacks `files` of a .tar.gz (or whatever libarchive can read) into `folder`. The archive decides no path: an entry
// is written only if it is a regular file with the path and the size of one of `files`; all others are passed over.
// UserError where the archive cannot be read, or lacks one of the files; RunError where one cannot be written.
void ExtractFiles(const std::filesystem::path& archive, const std::vector<ArchiveFile>& files,
                  const std::filesystem::path& folder);

}  // namespace crescendo::data
