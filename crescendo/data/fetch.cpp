#include "crescendo/data/fetch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ostream.h>
#include <fmt/ranges.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <ostream>
#include <vector>

#include "crescendo/base/error.h"
#include "crescendo/base/nearest_name.h"
#include "crescendo/base/writable.h"
#include "crescendo/data/archive.h"
#include "crescendo/data/dataset.h"
#include "crescendo/data/download.h"

namespace crescendo::data {
namespace {

namespace fs = std::filesystem;
using config::DatasetName;

struct OfficialFile {
  std::string name;
  std::string md5;
};

struct Source {
  DatasetName name;
  std::string address;  // of the folder that holds the files
  std::vector<OfficialFile> files;
  std::vector<ArchiveFile> unpacked;  // what is taken out of the file, if it is an archive; else empty
  std::string folder;                 // where LoadDatasets looks

  bool is_archive() const { return !unpacked.empty(); }
};

const std::vector<Source>& Sources() {
  static const std::vector<Source> sources = {
      {.name = DatasetName::kCifar10,
       .address = "https://www.cs.toronto.edu/~kriz/",
       .files = {{"cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"}},
       .unpacked = {{"cifar-10-batches-bin/data_batch_1.bin", 30'730'000},
                    {"cifar-10-batches-bin/data_batch_2.bin", 30'730'000},
                    {"cifar-10-batches-bin/data_batch_3.bin", 30'730'000},
                    {"cifar-10-batches-bin/data_batch_4.bin", 30'730'000},
                    {"cifar-10-batches-bin/data_batch_5.bin", 30'730'000},
                    {"cifar-10-batches-bin/test_batch.bin", 30'730'000}},
       .folder = "cifar-10-batches-bin"},
      {.name = DatasetName::kCifar100,
       .address = "https://www.cs.toronto.edu/~kriz/",
       .files = {{"cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8"}},
       .unpacked = {{"cifar-100-binary/train.bin", 153'700'000}, {"cifar-100-binary/test.bin", 30'740'000}},
       .folder = "cifar-100-binary"},
      {.name = DatasetName::kMnist,
       .address = "https://ossci-datasets.s3.amazonaws.com/mnist/",
       .files = {{"train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"},
                 {"train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"},
                 {"t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"},
                 {"t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"}},
       .unpacked = {},
       .folder = "mnist"},
      {.name = DatasetName::kFashionMnist,
       .address = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
       .files = {{"train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"},
                 {"train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"},
                 {"t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"},
                 {"t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"}},
       .unpacked = {},
       .folder = "fashion-mnist"}};
  return sources;
}

const Source& SourceOf(const std::string& name) {
  std::vector<std::string> names;
  for (const Source& source : Sources()) {
    if (NameOf(source.name) == name) return source;
    names.emplace_back(NameOf(source.name));
  }
  const std::string nearest = NearestName(name, names);
  throw UserError(fmt::format("there is no '{}' to fetch{}; there are {}", name,
                              nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest),
                              fmt::join(names, ", ")));
}

// Reads the whole data set below `folder`, as training would. UserError where it cannot.
void RequireLoadable(const Source& source, const fs::path& folder) {
  config::DataOptions options;
  options.name = source.name;
  options.folder = folder.string();
  LoadDatasets(options, 0);
}

bool IsLoadable(const Source& source, const fs::path& folder) {
  try {
    RequireLoadable(source, folder);
    return true;
  } catch (const UserError&) {
    return false;
  }
}

// The folder TO/NAME.part, for this process alone. It stays only where something is in it.
class WorkFolder {
 public:
  explicit WorkFolder(const fs::path& path) : path_(path) {
    fs::create_directories(path);
    descriptor_ = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor_ < 0) throw RunError(fmt::format("cannot open {}: {}", path.string(), std::strerror(errno)));
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      ::close(descriptor_);
      throw UserError(fmt::format("another `crescendo fetch` is at work in {}", path.string()));
    }
  }
  ~WorkFolder() {
    if (std::error_code failed; fs::is_empty(path_, failed)) fs::remove(path_, failed);
    ::close(descriptor_);
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;

  const fs::path& path() const { return path_; }
  void Sync() const {
    if (::syncfs(descriptor_) != 0)
      throw RunError(fmt::format("cannot write {}: {}", path_.string(), std::strerror(errno)));
  }

 private:
  fs::path path_;
  int descriptor_;
};

// --- from the network

std::string ByHand(const Source& source, const FetchRequest& request) {
  std::string urls;
  for (const OfficialFile& file : source.files) urls += "  " + source.address + file.name + "\n";
  return fmt::format("By hand: download{}\n{}then run `crescendo fetch {} --from {} --to {}`",
                     source.is_archive() ? "" : " these files into one folder", urls, request.name,
                     source.is_archive() ? source.files[0].name : "FOLDER", request.to);
}

// `path` holds `file` afterwards, with the right digest.
void DownloadChecked(const std::string& url, const OfficialFile& file, const fs::path& path, std::ostream& tell) {
  if (fs::exists(path) && Md5OfFile(path) == file.md5) return;
  for (const bool resumed : {fs::exists(path), false}) {
    fmt::print(tell, "{} {}\n", resumed ? "going on with" : "downloading", url);
    Download(url, path, tell);
    const std::string md5 = Md5OfFile(path);
    if (md5 == file.md5) return;
    fs::remove(path);
    if (!resumed) {
      throw RunError(fmt::format("{} is not the official file: its md5 is {} and should be {}", url, md5, file.md5));
    }
  }
}

void GetFromNetwork(const Source& source, const FetchRequest& request, const fs::path& work, std::ostream& tell) {
  try {
    for (const OfficialFile& file : source.files) {
      std::string url = source.address + file.name;
      if (request.from && source.is_archive()) url = *request.from;
      if (request.from && !source.is_archive())
        url = *request.from + (request.from->ends_with('/') ? "" : "/") + file.name;
      const fs::path path = source.is_archive() ? work / file.name : work / source.folder / file.name;
      fs::create_directories(path.parent_path());
      if (!source.is_archive())
        fs::remove(path.parent_path() / path.stem());  // left by a fetch of unpacked files that was cut off
      DownloadChecked(url, file, path, tell);
    }
  } catch (const RunError& error) {
    throw RunError(fmt::format("{}\n{}", error.what(), ByHand(source, request)));
  }
  if (source.is_archive()) ExtractFiles(work / source.files[0].name, source.unpacked, work);
}

// --- from this machine

void CheckDigest(const OfficialFile& file, const fs::path& path) {
  const std::string md5 = Md5OfFile(path);
  if (md5 == file.md5) return;
  throw UserError(
      fmt::format("{} is not the official file: its md5 is {} and should be {}", path.string(), md5, file.md5));
}

// Copies the files that the loader needs from `folder`. Returns the first that is not there, or "".
std::string CopyFiles(const Source& source, const fs::path& folder, const fs::path& work, std::ostream& tell) {
  std::vector<fs::path> found;
  bool checked = true;
  for (const ArchiveFile& file : source.unpacked) {
    found.push_back(folder / fs::path(file.path).filename());
    if (!fs::exists(found.back())) return found.back().string();
    checked = false;
  }
  for (const OfficialFile& file : source.is_archive() ? std::vector<OfficialFile>{} : source.files) {
    const fs::path packed = folder / file.name;
    const fs::path unpacked = folder / packed.stem();
    if (!fs::exists(packed) && !fs::exists(unpacked)) return packed.string();
    found.push_back(fs::exists(packed) ? packed : unpacked);
    if (fs::exists(packed))
      CheckDigest(file, packed);
    else
      checked = false;
  }
  fs::create_directories(work / source.folder);
  for (const fs::path& path : found) {
    fs::copy_file(path, work / source.folder / path.filename(), fs::copy_options::overwrite_existing);
  }
  if (!checked) {
    fmt::print(
        tell,
        "{}: unpacked files; sizes and format are checked, the official digest is of packed files and cannot be\n",
        folder.string());
  }
  return "";
}

void GetFromHere(const Source& source, const fs::path& from, const fs::path& work, std::ostream& tell) {
  fs::remove_all(work / source.folder);
  if (!fs::exists(from)) throw UserError(fmt::format("--from {}: there is no such file or folder", from.string()));
  if (fs::is_directory(from)) {
    const fs::path archive = from / source.files[0].name;
    if (source.is_archive() && fs::exists(archive)) return GetFromHere(source, archive, work, tell);
    if (fs::is_directory(from / source.folder) && CopyFiles(source, from / source.folder, work, tell).empty()) return;
    const std::string missing = CopyFiles(source, from, work, tell);
    if (!missing.empty()) {
      throw UserError(fmt::format("--from {}: the folder holds neither {} nor its files unpacked: there is no {}",
                                  from.string(), source.is_archive() ? source.files[0].name : "the packed files",
                                  missing));
    }
    return;
  }
  if (!source.is_archive()) {
    throw UserError(fmt::format("--from {}: {} is {} files; give the folder that holds them", from.string(),
                                NameOf(source.name), source.files.size()));
  }
  CheckDigest(source.files[0], from);
  ExtractFiles(from, source.unpacked, work);
}

// Moves what was made ready to its place. Files that cannot be loaded are replaced, one by one; any others in the
// folder stay.
void Install(const Source& source, const WorkFolder& work, const fs::path& to) {
  work.Sync();
  const fs::path target = to / source.folder;
  if (fs::exists(target)) {
    for (const auto& entry : fs::directory_iterator(work.path() / source.folder)) {
      // The loader takes x before x.gz; a bad x must not hide the good x.gz.
      if (entry.path().extension() == ".gz") fs::remove(target / entry.path().stem());
      fs::rename(entry.path(), target / entry.path().filename());
    }
  } else {
    fs::rename(work.path() / source.folder, target);
  }
  fs::remove_all(work.path());
}

void RequireTarget(const fs::path& to) {
  std::error_code error;
  fs::create_directories(to, error);
  const std::string reason = error ? error.message() : WhyNotWritable(to);
  if (!reason.empty()) throw UserError(fmt::format("--to {}: {}", to.string(), reason));
}

}  // namespace

void Fetch(const FetchRequest& request, std::ostream& tell) {
  const Source& source = SourceOf(request.name);
  const fs::path to = request.to;
  const std::string target = (to / source.folder).string();
  if (IsLoadable(source, to)) {
    fmt::print(tell, "{} is in {} already, and good\n", request.name, target);
    return;
  }
  RequireTarget(to);
  try {
    const WorkFolder work(to / (request.name + ".part"));
    const bool network = !request.from || request.from->starts_with("http://") || request.from->starts_with("https://");
    if (network) {
      GetFromNetwork(source, request, work.path(), tell);
    } else {
      GetFromHere(source, *request.from, work.path(), tell);
    }
    RequireLoadable(source, work.path());
    Install(source, work, to);
  } catch (const fs::filesystem_error& error) {
    throw RunError(fmt::format("cannot write {}: {}", error.path1().string(), error.code().message()));
  }
  fmt::print(tell, "{} is in {}\n", request.name, target);
}

}  // namespace crescendo::data
