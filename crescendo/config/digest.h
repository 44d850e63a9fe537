// Which runs learn the same.
#pragma once

#include <string>

#include "crescendo/config/options.h"

namespace crescendo::config {

// `options` without what does not change what is learned: data, model, optimizer, reference and schedule stay, with the
// seed and the precision; not the folder of the data sets, nor how examples are prepared. The rest has its default.
Options WhatIsLearned(const Options& options);

// 16 hexadecimal digits that are the same where WhatIsLearned and the content of the files in it (data.train_file,
// data.test_file) are, whatever these are called. UserError where one cannot be read. FNV-1a, so not for secrets.
std::string Digest(const Options& options);

}  // namespace crescendo::config
