#include "crescendo/data/unpacked_file.h"

#include <fmt/format.h>
#include <lzma.h>
#include <zlib.h>

#include <memory>
#include <new>
#include <vector>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"

namespace crescendo::data {
namespace {

constexpr size_t kChunk = size_t{1} << 18;
// Four times what `xz -9` asks for.
constexpr uint64_t kMostXzMemory = uint64_t{256} << 20;

[[noreturn]] void FailUnpacking(const std::filesystem::path& path, uint64_t offset, const char* reason) {
  throw UserError(fmt::format("{} cannot be unpacked: {} at byte {}", path.string(), reason, offset));
}

[[noreturn]] void FailForMemory(const std::filesystem::path& path) {
  throw RunError(fmt::format("{} cannot be unpacked: not enough memory", path.string()));
}

// Adds what was unpacked, unless it is more than there may be.
void Append(const std::filesystem::path& path, const std::vector<char>& chunk, size_t count, uint64_t most_bytes,
            std::string& unpacked) {
  if (count > most_bytes - unpacked.size()) {
    throw UserError(fmt::format("{} cannot be unpacked: it holds more than the {} bytes that it should", path.string(),
                                most_bytes));
  }
  unpacked.append(chunk.data(), count);
}

std::string Gunzip(const std::filesystem::path& path, std::string packed, uint64_t most_bytes) {
  z_stream stream{};
  constexpr int kGzipOnly = 16 + MAX_WBITS;
  if (inflateInit2(&stream, kGzipOnly) != Z_OK) throw RunError("zlib could not be started");
  const std::unique_ptr<z_stream, int (*)(z_stream*)> closer(&stream, &inflateEnd);
  stream.next_in = reinterpret_cast<Bytef*>(packed.data());
  size_t left = packed.size();  // avail_in holds 32 bits only
  std::string unpacked;
  std::vector<char> chunk(kChunk);
  int status = Z_OK;
  const auto offset = [&] { return packed.size() - left - stream.avail_in; };
  while (true) {
    if (stream.avail_in == 0) {
      stream.avail_in = static_cast<uInt>(std::min(left, size_t{1} << 30));
      left -= stream.avail_in;
    }
    if (status == Z_STREAM_END && stream.avail_in == 0) return unpacked;
    // A gzip file may be several, one after the other.
    if (status == Z_STREAM_END && inflateReset(&stream) != Z_OK) throw RunError("zlib could not be started");
    stream.next_out = reinterpret_cast<Bytef*>(chunk.data());
    stream.avail_out = static_cast<uInt>(chunk.size());
    status = inflate(&stream, Z_NO_FLUSH);
    Append(path, chunk, chunk.size() - stream.avail_out, most_bytes, unpacked);
    if (status == Z_MEM_ERROR) FailForMemory(path);
    if (status == Z_BUF_ERROR) FailUnpacking(path, offset(), "the file is cut short");
    if (status != Z_OK && status != Z_STREAM_END) FailUnpacking(path, offset(), "the gzip data are damaged");
  }
}

std::string Unxz(const std::filesystem::path& path, const std::string& packed, uint64_t most_bytes) {
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_stream_decoder(&stream, kMostXzMemory, LZMA_CONCATENATED) != LZMA_OK) {
    throw RunError("liblzma could not be started");
  }
  const std::unique_ptr<lzma_stream, void (*)(lzma_stream*)> closer(&stream, &lzma_end);
  stream.next_in = reinterpret_cast<const uint8_t*>(packed.data());
  stream.avail_in = packed.size();
  std::string unpacked;
  std::vector<char> chunk(kChunk);
  while (true) {
    stream.next_out = reinterpret_cast<uint8_t*>(chunk.data());
    stream.avail_out = chunk.size();
    const lzma_ret status = lzma_code(&stream, LZMA_FINISH);
    Append(path, chunk, chunk.size() - stream.avail_out, most_bytes, unpacked);
    if (status == LZMA_STREAM_END) return unpacked;
    if (status == LZMA_MEM_ERROR) FailForMemory(path);
    if (status == LZMA_MEMLIMIT_ERROR) {
      throw UserError(
          fmt::format("{} cannot be unpacked: that takes {} MiB of memory, and at most {} are given to it; "
                      "`xz -9` makes files that take 65",
                      path.string(), (lzma_memusage(&stream) >> 20) + 1, kMostXzMemory >> 20));
    }
    if (status == LZMA_BUF_ERROR) FailUnpacking(path, stream.total_in, "the file is cut short");
    if (status != LZMA_OK) FailUnpacking(path, stream.total_in, "the xz data are damaged");
  }
}

}  // namespace

std::string ReadUnpackedFile(const std::filesystem::path& path, uint64_t most_bytes) {
  const bool is_gzip = path.extension() == ".gz";
  const bool is_xz = path.extension() == ".xz";
  std::error_code ignored;  // what cannot be read is told by ReadFile
  const uint64_t size = std::filesystem::is_regular_file(path, ignored) ? std::filesystem::file_size(path, ignored) : 0;
  if (!is_gzip && !is_xz && size > most_bytes) {
    throw UserError(fmt::format("{} ends at byte {} and should at {}", path.string(), size, most_bytes));
  }
  try {
    std::string content = ReadFile(path);
    if (is_gzip) return Gunzip(path, std::move(content), most_bytes);
    if (is_xz) return Unxz(path, content, most_bytes);
    return content;
  } catch (const std::bad_alloc&) {
    FailForMemory(path);
  }
}

}  // namespace crescendo::data
