// Which runs learn the same: a name for each, to recognise it by.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "crescendo/config/options.h"

namespace crescendo::config {

// SettingsOf(options) without those that do not decide what is learned (difference.h: Effect::kRun stays).
std::map<std::string, std::string> LearnedSettings(const Options& options);

// These, one "key = value" a line; a file's (data.train_file, data.test_file) value is a hash of its content, so its
// name and place do not matter. UserError where one cannot be read.
std::string LearnedText(const Options& options);

// What the file begins with that a study gives to one of its runs as its config; the digest of the run follows.
inline constexpr std::string_view kTrialMark = "# crescendo trial ";

// 16 hexadecimal digits of LearnedText. FNV-1a: not for secrets.
std::string Digest(const Options& options);

}  // namespace crescendo::config
