// Two kinds of error.
//
// UserError: what was asked cannot be done as it was asked, which was found before the work began: a mistake in a
// config, a file that is not there, a folder that cannot be written. The message says what was given, where, and what
// would work; the command line prints it and exits with 2. It never shows a stack trace or a C++ type.
//
// RunError: the work had begun and failed (a loss that is not a number, a full disk). Exit code 1.
//
// CRESCENDO_ASSERT: a mistake of ours. It names the condition and the place and asks for a report.
#pragma once

#include <stdexcept>
#include <string>

namespace crescendo {

class UserError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class RunError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace internal {
[[noreturn]] void AssertionFailed(const char* condition, const char* file, int line, const std::string& message);
}  // namespace internal

}  // namespace crescendo

#define CRESCENDO_ASSERT(condition, message)                                             \
  do {                                                                                   \
    if (!(condition)) {                                                                  \
      ::crescendo::internal::AssertionFailed(#condition, __FILE__, __LINE__, (message)); \
    }                                                                                    \
  } while (false)
