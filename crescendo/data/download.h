// Downloads that can be cut off: by a broken connection, or by the end of the process.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>

namespace crescendo::data {

// The MD5 digest of a file, in hexadecimal digits. It is what the authors of the data sets publish; it finds damage,
// not forgery.
std::string Md5OfFile(const std::filesystem::path& path);

// Downloads `url` (http or https) into `path`. What `path` holds already is taken for the beginning, and only the rest
// is asked for, where the server can do that. A connection that breaks is made anew as long as it brings something.
// RunError, with libcurl's reason, where it cannot be done; what has come is kept, for the next time. Progress goes to
// `tell`.
void Download(const std::string& url, const std::filesystem::path& path, std::ostream& tell);

}  // namespace crescendo::data
