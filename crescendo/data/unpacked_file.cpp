#include "crescendo/data/unpacked_file.h"

#include <fmt/format.h>
#include <lzma.h>
#include <zlib.h>

#include <memory>
#include <vector>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"

namespace crescendo::data {
namespace {

constexpr size_t kChunk = size_t{1} << 18;

[[noreturn]] void FailUnpacking(const std::filesystem::path& path, uint64_t offset, const char* reason) {
  throw UserError(fmt::format("{} cannot be unpacked: {} at byte {}", path.string(), reason, offset));
}

std::string Gunzip(const std::filesystem::path& path, std::string packed) {
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
    unpacked.append(chunk.data(), chunk.size() - stream.avail_out);
    if (status == Z_BUF_ERROR) FailUnpacking(path, offset(), "the file is cut short");
    if (status != Z_OK && status != Z_STREAM_END) FailUnpacking(path, offset(), "the gzip data are damaged");
  }
}

std::string Unxz(const std::filesystem::path& path, const std::string& packed) {
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_stream_decoder(&stream, UINT64_MAX, LZMA_CONCATENATED) != LZMA_OK) {
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
    unpacked.append(chunk.data(), chunk.size() - stream.avail_out);
    if (status == LZMA_STREAM_END) return unpacked;
    if (status == LZMA_BUF_ERROR) FailUnpacking(path, stream.total_in, "the file is cut short");
    if (status != LZMA_OK) FailUnpacking(path, stream.total_in, "the xz data are damaged");
  }
}

}  // namespace

std::string ReadUnpackedFile(const std::filesystem::path& path) {
  std::string content = ReadFile(path);
  if (path.extension() == ".gz") return Gunzip(path, std::move(content));
  if (path.extension() == ".xz") return Unxz(path, content);
  return content;
}

}  // namespace crescendo::data
