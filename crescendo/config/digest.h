// Which runs learn the same: a name for each, to recognise it by.
#pragma once

#include <map>
#include <string>

#include "crescendo/config/options.h"

namespace crescendo::config {

// SettingsOf(options) without those that do not decide what is learned (difference.h: Effect::kRun stays).
std::map<std::string, std::string> LearnedSettings(const Options& options);

// 16 hexadecimal digits that are the same where LearnedSettings and the content of the files in it (data.train_file,
// data.test_file) are, whatever these files are called. UserError where one cannot be read. FNV-1a: not for secrets.
std::string Digest(const Options& options);

}  // namespace crescendo::config
