// What the tests of this folder share.
#pragma once

#include <ATen/core/Tensor.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "crescendo/base/error.h"

namespace crescendo::data {

// A folder of its own for each test, gone afterwards.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "crescendo_data_test_XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::string Write(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << content;
    return (path_ / name).string();
  }

 private:
  std::filesystem::path path_;
};

// Where the real data sets may be.
inline std::filesystem::path DataFolder() {
  const char* folder = std::getenv("CRESCENDO_DATA");
  return folder != nullptr ? folder : "data";
}

// What a UserError says; "" where none is thrown.
template <class Function>
std::string UserErrorOf(Function&& function) {
  try {
    function();
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

template <class T>
std::vector<T> Values(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.contiguous();
  return std::vector<T>(flat.const_data_ptr<T>(), flat.const_data_ptr<T>() + flat.numel());
}

}  // namespace crescendo::data
