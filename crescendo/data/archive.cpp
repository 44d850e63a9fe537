#include "crescendo/data/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <set>

#include "crescendo/base/error.h"

namespace crescendo::data {
namespace {

using Archive = std::unique_ptr<struct archive, int (*)(struct archive*)>;

[[noreturn]] void FailReading(const std::filesystem::path& path, const Archive& reader) {
  const char* reason = archive_error_string(reader.get());
  throw UserError(
      fmt::format("{} cannot be unpacked: {}", path.string(), reason != nullptr ? reason : "it is damaged"));
}

void WriteEntry(const std::filesystem::path& archive, const Archive& reader, const std::filesystem::path& path) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  std::vector<char> chunk(size_t{1} << 18);
  la_ssize_t size = 0;
  while ((size = archive_read_data(reader.get(), chunk.data(), chunk.size())) > 0) file.write(chunk.data(), size);
  if (size < 0) FailReading(archive, reader);
  file.close();
  if (!file) throw RunError(fmt::format("cannot write {}", path.string()));
}

}  // namespace

void ExtractFiles(const std::filesystem::path& archive, const std::vector<ArchiveFile>& files,
                  const std::filesystem::path& folder) {
  const Archive reader(archive_read_new(), &archive_read_free);
  if (!reader) throw RunError("libarchive could not be started");
  archive_read_support_filter_all(reader.get());
  archive_read_support_format_all(reader.get());
  constexpr size_t kBlock = 1 << 16;
  if (archive_read_open_filename(reader.get(), archive.c_str(), kBlock) != ARCHIVE_OK) FailReading(archive, reader);
  std::set<std::string> missing;
  for (const ArchiveFile& file : files) missing.insert(file.path);
  archive_entry* entry = nullptr;
  int status = ARCHIVE_OK;
  while (!missing.empty() && (status = archive_read_next_header(reader.get(), &entry)) == ARCHIVE_OK) {
    const char* name = archive_entry_pathname(entry);
    const auto found = std::find_if(files.begin(), files.end(),
                                    [&](const ArchiveFile& file) { return name != nullptr && file.path == name; });
    if (found == files.end() || archive_entry_filetype(entry) != AE_IFREG || archive_entry_size(entry) != found->size)
      continue;
    WriteEntry(archive, reader, folder / found->path);
    missing.erase(found->path);
  }
  if (status != ARCHIVE_OK && status != ARCHIVE_EOF) FailReading(archive, reader);
  if (!missing.empty()) {
    throw UserError(
        fmt::format("{} does not hold {} with the size it should have", archive.string(), *missing.begin()));
  }
}

}  // namespace crescendo::data
