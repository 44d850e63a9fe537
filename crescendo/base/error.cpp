#include "crescendo/base/error.h"

#include <fmt/format.h>

namespace crescendo::internal {

void AssertionFailed(const char* condition, const char* file, int line, const std::string& message) {
  throw std::logic_error(
      fmt::format("{} ({}:{}: {} does not hold). This is a bug in crescendo.", message, file, line, condition));
}

}  // namespace crescendo::internal
