#include "crescendo/data/download.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <ostream>
#include <vector>

#include "crescendo/base/error.h"

namespace crescendo::data {
namespace {

constexpr int kFruitlessAttempts = 3;
constexpr long kConnectSeconds = 30;
constexpr long kStalledSeconds = 60;

struct FileCloser {
  void operator()(FILE* file) const { std::fclose(file); }
};

struct CurlCloser {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};

// Prints 10%, 20%, ... of a download that takes a while.
struct Progress {
  static constexpr curl_off_t kWorthTelling = curl_off_t{20} << 20;
  std::ostream& tell;
  curl_off_t before;  // bytes that were there already
  curl_off_t told = 0;

  static int Update(void* self, curl_off_t total, curl_off_t now, curl_off_t, curl_off_t) {
    auto& progress = *static_cast<Progress*>(self);
    if (total < kWorthTelling) return 0;
    const curl_off_t tenth = 10 * (progress.before + now) / (progress.before + total);
    if (tenth > progress.told) progress.tell << ' ' << 10 * tenth << '%' << std::flush;
    progress.told = tenth;
    return 0;
  }
};

struct Attempt {
  CURLcode code;
  long status;  // of HTTP
  std::string reason;
};

Attempt Try(const std::string& url, const std::filesystem::path& path, std::ostream& tell) {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  const std::unique_ptr<CURL, CurlCloser> handle(started == CURLE_OK ? curl_easy_init() : nullptr);
  if (!handle) throw RunError("libcurl could not be started");
  const std::unique_ptr<FILE, FileCloser> file(std::fopen(path.c_str(), "ab"));
  if (!file) throw RunError(fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)));
  std::array<char, CURL_ERROR_SIZE> reason{};
  Progress progress{.tell = tell, .before = static_cast<curl_off_t>(std::filesystem::file_size(path))};
  curl_easy_setopt(handle.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle.get(), CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(handle.get(), CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle.get(), CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(handle.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle.get(), CURLOPT_USERAGENT, "crescendo");
  curl_easy_setopt(handle.get(), CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(handle.get(), CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(handle.get(), CURLOPT_LOW_SPEED_TIME, kStalledSeconds);
  curl_easy_setopt(handle.get(), CURLOPT_RESUME_FROM_LARGE, progress.before);
  curl_easy_setopt(handle.get(), CURLOPT_WRITEDATA, file.get());  // written by fwrite
  curl_easy_setopt(handle.get(), CURLOPT_ERRORBUFFER, reason.data());
  curl_easy_setopt(handle.get(), CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(handle.get(), CURLOPT_XFERINFOFUNCTION, &Progress::Update);
  curl_easy_setopt(handle.get(), CURLOPT_XFERINFODATA, &progress);
  Attempt attempt{.code = curl_easy_perform(handle.get()), .status = 0, .reason = {}};
  if (progress.told > 0) tell << '\n';
  curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &attempt.status);
  attempt.reason = reason[0] != '\0' ? reason.data() : curl_easy_strerror(attempt.code);
  if (std::fflush(file.get()) != 0)
    throw RunError(fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)));
  return attempt;
}

bool ConnectionBroke(CURLcode code) {
  switch (code) {
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::string Md5OfFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw UserError(fmt::format("cannot read {}: {}", path.string(), std::strerror(errno)));
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  bool good = context != nullptr && EVP_DigestInit_ex(context.get(), EVP_md5(), nullptr) == 1;
  std::vector<char> chunk(size_t{1} << 20);
  while (good && file) {
    file.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    good = EVP_DigestUpdate(context.get(), chunk.data(), static_cast<size_t>(file.gcount())) == 1;
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  good = good && EVP_DigestFinal_ex(context.get(), digest.data(), &size) == 1;
  if (!good) throw RunError("OpenSSL refuses MD5 on this machine (FIPS mode?)");
  std::string hexadecimal;
  for (unsigned int i = 0; i < size; ++i) hexadecimal += fmt::format("{:02x}", digest[i]);
  return hexadecimal;
}

void Download(const std::string& url, const std::filesystem::path& path, std::ostream& tell) {
  constexpr long kRangeNotSatisfiable = 416;
  for (int fruitless = 0; fruitless < kFruitlessAttempts;) {
    const uintmax_t before = std::filesystem::exists(path) ? std::filesystem::file_size(path) : 0;
    const Attempt attempt = Try(url, path, tell);
    if (attempt.code == CURLE_OK) return;
    if (before > 0 && attempt.status == kRangeNotSatisfiable) return;  // all of it was there already
    if (before > 0 && attempt.code == CURLE_RANGE_ERROR) {             // the server sends files from the beginning only
      std::filesystem::resize_file(path, 0);
      continue;
    }
    fruitless = std::filesystem::file_size(path) > before ? 0 : fruitless + 1;
    if (!ConnectionBroke(attempt.code) || fruitless == kFruitlessAttempts) {
      throw RunError(fmt::format("cannot download {}: {}", url, attempt.reason));
    }
    tell << "the connection broke (" << attempt.reason << "); going on\n";
  }
}

}  // namespace crescendo::data
