// Files that may be compressed, recognised by their ending.
#pragma once

#include <filesystem>
#include <string>

namespace crescendo::data {

// The whole content of `path`: unpacked where the name ends in .gz or .xz, else as it is. UserError if it cannot be
// read, or where the compressed data are cut short or damaged, with the offset in the file.
std::string ReadUnpackedFile(const std::filesystem::path& path);

}  // namespace crescendo::data
