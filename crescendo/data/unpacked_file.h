// Files that may be compressed, recognised by their ending.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>

namespace crescendo::data {

// The whole content of `path`: unpacked where the name ends in .gz or .xz, else as it is. UserError if it cannot be
// read, where the compressed data are cut short or damaged, with the offset in the file, where they hold more than
// `most_bytes`, which is seen before memory is taken for more, and where unpacking xz takes more memory than 256 MiB.
// RunError where there is not enough memory.
std::string ReadUnpackedFile(const std::filesystem::path& path,
                             uint64_t most_bytes = std::numeric_limits<uint64_t>::max());

}  // namespace crescendo::data
