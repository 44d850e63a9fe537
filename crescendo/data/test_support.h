// What the tests of this folder share.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "crescendo/base/error.h"
#include "tests/support/temporary_folder.h"

namespace crescendo::data {

using support::TemporaryFolder;

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
