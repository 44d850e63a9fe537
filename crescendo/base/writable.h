// Whether a result could be kept, asked before the work that makes it.
#pragma once

#include <filesystem>
#include <string>

namespace crescendo {

// Why no file can be made in `folder`, as part of a sentence that names it; "" where one can: one is made and removed.
std::string WhyNotWritable(const std::filesystem::path& folder);

}  // namespace crescendo
