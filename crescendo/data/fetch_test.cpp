#include "crescendo/data/fetch.h"

#include <ATen/Parallel.h>
#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <sstream>

#include "crescendo/base/file.h"
#include "crescendo/base/random.h"
#include "crescendo/data/archive.h"
#include "crescendo/data/dataset.h"
#include "crescendo/data/download.h"
#include "crescendo/data/test_support.h"

namespace crescendo::data {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// testdata/range_server.py as a process of its own.
class RangeServer {
 public:
  RangeServer(const fs::path& folder, std::vector<std::string> flags) {
    ::setenv("no_proxy", "127.0.0.1", 1);
    std::vector<std::string> words = {"python3", "crescendo/data/testdata/range_server.py", folder.string()};
    words.insert(words.end(), flags.begin(), flags.end());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    int ends[2];
    if (::pipe(ends) != 0) return;
    process_ = ::fork();
    if (process_ == 0) {
      ::dup2(ends[1], STDOUT_FILENO);
      ::close(ends[0]);
      ::close(ends[1]);
      ::execvp(arguments[0], arguments.data());
      ::_exit(127);
    }
    ::close(ends[1]);
    output_ = ::fdopen(ends[0], "r");
    std::array<char, 16> line{};
    if (std::fgets(line.data(), line.size(), output_) != nullptr) port_ = std::atoi(line.data());
  }
  ~RangeServer() {
    Stop();
    if (output_ != nullptr) std::fclose(output_);
  }
  RangeServer(const RangeServer&) = delete;
  RangeServer& operator=(const RangeServer&) = delete;

  bool running() const { return port_ != 0; }
  std::string Url(const std::string& path) const { return "http://127.0.0.1:" + std::to_string(port_) + "/" + path; }

  void Stop() {
    if (process_ <= 0) return;
    ::kill(process_, SIGTERM);
    ::waitpid(process_, nullptr, 0);
    process_ = 0;
  }

  // Stops the server. What was asked of it: "/file FIRST_BYTE", one per request.
  std::vector<std::string> Requests() {
    Stop();
    std::vector<std::string> requests;
    std::array<char, 256> line;
    while (std::fgets(line.data(), line.size(), output_) != nullptr) {
      requests.emplace_back(line.data());
      requests.back().pop_back();
    }
    return requests;
  }

 private:
  pid_t process_ = 0;
  FILE* output_ = nullptr;
  int port_ = 0;
};

#define NEEDS_SERVER(server) \
  if (!(server).running()) GTEST_SKIP() << "needs python3 for a local HTTP server"

std::string RandomBytes(size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(RandomBits(1, i));
  return bytes;
}

void WriteArchive(const fs::path& path, const std::vector<std::pair<std::string, std::string>>& entries) {
  archive* writer = archive_write_new();
  archive_write_add_filter_gzip(writer);
  archive_write_set_format_pax_restricted(writer);
  archive_write_open_filename(writer, path.c_str());
  for (const auto& [name, content] : entries) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_write_header(writer, entry);
    archive_write_data(writer, content.data(), content.size());
    archive_entry_free(entry);
  }
  archive_write_close(writer);
  archive_write_free(writer);
}

template <class Error>
std::string MessageOf(const FetchRequest& request, std::ostream& tell) {
  try {
    Fetch(request, tell);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// Well-formed and without content: 60,000 + 10,000 black images of zeros.
void WriteBlackMnist(const fs::path& folder) {
  fs::create_directories(folder);
  const auto write = [&](const std::string& name, const std::string& header, uintmax_t size) {
    WriteFileAtomically(folder / name, header);
    fs::resize_file(folder / name, header.size() + size);
  };
  write("train-images-idx3-ubyte", std::string("\0\0\x08\x03\0\0\xea\x60\0\0\0\x1c\0\0\0\x1c", 16),
        uintmax_t{60'000} * 784);
  write("train-labels-idx1-ubyte", std::string("\0\0\x08\x01\0\0\xea\x60", 8), 60'000);
  write("t10k-images-idx3-ubyte", std::string("\0\0\x08\x03\0\0\x27\x10\0\0\0\x1c\0\0\0\x1c", 16),
        uintmax_t{10'000} * 784);
  write("t10k-labels-idx1-ubyte", std::string("\0\0\x08\x01\0\0\x27\x10", 8), 10'000);
}

TEST(Md5OfFile, GivesTheKnownAnswers) {  // RFC 1321, appendix A.5
  const TemporaryFolder folder;
  EXPECT_EQ(Md5OfFile(folder.Write("empty", "")), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(Md5OfFile(folder.Write("abc", "abc")), "900150983cd24fb0d6963f7d28e17f72");
}

TEST(Download, GoesOnWhereTheConnectionBroke) {
  const TemporaryFolder folder;
  const std::string content = RandomBytes(200'000);
  folder.Write("served/file", content);
  RangeServer server(folder.path() / "served", {"--drop-once"});
  NEEDS_SERVER(server);
  std::ostringstream tell;
  Download(server.Url("file"), folder.path() / "file", tell);
  EXPECT_EQ(ReadFile(folder.path() / "file"), content);
  EXPECT_THAT(tell.str(), HasSubstr("the connection broke"));
  EXPECT_THAT(server.Requests(), ElementsAre("/file 0", "/file 100000"));
}

TEST(Download, GoesOnFromWhatAnEarlierProcessLeft) {
  const TemporaryFolder folder;
  const std::string content = RandomBytes(5'000);
  folder.Write("served/file", content);
  RangeServer server(folder.path() / "served", {});
  NEEDS_SERVER(server);
  std::ostringstream tell;
  for (const size_t left : {size_t{1'234}, content.size()}) {
    folder.Write("file", content.substr(0, left));
    Download(server.Url("file"), folder.path() / "file", tell);
    EXPECT_EQ(ReadFile(folder.path() / "file"), content);
  }
  EXPECT_THAT(server.Requests(), ElementsAre("/file 1234", "/file 5000"));
}

TEST(Download, StartsAgainWhereTheServerHasNoRanges) {
  const TemporaryFolder folder;
  const std::string content = RandomBytes(5'000);
  folder.Write("served/file", content);
  RangeServer server(folder.path() / "served", {"--no-ranges"});
  NEEDS_SERVER(server);
  folder.Write("file", content.substr(0, 1'234));
  std::ostringstream tell;
  Download(server.Url("file"), folder.path() / "file", tell);
  EXPECT_EQ(ReadFile(folder.path() / "file"), content);
}

TEST(Fetch, GetsMnistFromAServerThatBreaksOff) {
  at::set_num_threads(1);
  if (!fs::exists(DataFolder() / "mnist")) GTEST_SKIP() << "crescendo fetch mnist";
  RangeServer server(DataFolder(), {"--drop-once"});
  NEEDS_SERVER(server);
  const TemporaryFolder folder;
  std::ostringstream tell;
  const FetchRequest request{.name = "mnist", .from = server.Url("mnist"), .to = (folder.path() / "data").string()};
  Fetch(request, tell);
  EXPECT_EQ(ReadFile(folder.path() / "data/mnist/t10k-images-idx3-ubyte.gz"),
            ReadFile(DataFolder() / "mnist/t10k-images-idx3-ubyte.gz"));
  EXPECT_FALSE(fs::exists(folder.path() / "data/mnist.part"));
  EXPECT_EQ(server.Requests().size(), 8) << "each of four files breaks off once";
  tell.str("");
  Fetch(request, tell);
  EXPECT_THAT(tell.str(), AllOf(HasSubstr("already"), Not(HasSubstr("downloading"))));
}

TEST(Fetch, ReplacesWhatIsBrokenAndKeepsWhatIsNotItsOwn) {
  at::set_num_threads(1);
  if (!fs::exists(DataFolder() / "mnist")) GTEST_SKIP() << "crescendo fetch mnist";
  const TemporaryFolder folder;
  const std::string notes = folder.Write("mnist/notes.txt", "mine");
  folder.Write("mnist/train-images-idx3-ubyte", "broken");
  std::ostringstream tell;
  Fetch({.name = "mnist", .from = DataFolder().string(), .to = folder.path().string()}, tell);
  EXPECT_EQ(ReadFile(notes), "mine");
  tell.str("");
  Fetch({.name = "mnist", .from = {}, .to = folder.path().string()}, tell);
  EXPECT_THAT(tell.str(), HasSubstr("already"));
}

TEST(Fetch, AFileThatIsNotTheOfficialOneIsRefusedAndChangesNothing) {
  const TemporaryFolder folder;
  folder.Write("served/train-images-idx3-ubyte.gz", "something else");
  RangeServer server(folder.path() / "served", {});
  NEEDS_SERVER(server);
  std::ostringstream tell;
  const std::string to = (folder.path() / "data").string();
  EXPECT_THAT(MessageOf<RunError>({.name = "fashion_mnist", .from = server.Url(""), .to = to}, tell),
              AllOf(HasSubstr("should be 8d4fb7e6c68d591d4c3dfef9ec88bf0d"), HasSubstr("--from FOLDER")));
  EXPECT_FALSE(fs::exists(to + "/fashion-mnist"));
  const std::string archive = folder.Write("cifar-10-binary.tar.gz", "something else");
  EXPECT_THAT(MessageOf<UserError>({.name = "cifar10", .from = archive, .to = to}, tell),
              HasSubstr("should be c32a1d4ab5d03f1284b67883e8d87530"));
}

TEST(Fetch, WithoutANetworkItSaysWhatToDoByHand) {
  const TemporaryFolder folder;
  RangeServer server(folder.path(), {});
  NEEDS_SERVER(server);
  std::ostringstream tell;
  FetchRequest request{.name = "cifar10", .from = server.Url("absent.tar.gz"), .to = folder.path().string()};
  EXPECT_THAT(MessageOf<RunError>(request, tell), HasSubstr("404"));
  server.Stop();  // nobody listens there any more
  EXPECT_THAT(MessageOf<RunError>(request, tell),
              AllOf(HasSubstr("cannot download"), HasSubstr("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"),
                    HasSubstr("crescendo fetch cifar10 --from cifar-10-binary.tar.gz --to")));
}

TEST(Fetch, TakesUnpackedFilesAndSaysThatTheirDigestIsNotKnown) {
  at::set_num_threads(1);
  const TemporaryFolder folder;
  WriteBlackMnist(folder.path() / "given");
  std::ostringstream tell;
  const FetchRequest request{
      .name = "mnist", .from = (folder.path() / "given").string(), .to = (folder.path() / "data").string()};
  Fetch(request, tell);
  EXPECT_THAT(tell.str(), HasSubstr("the official digest"));
  EXPECT_TRUE(fs::exists(folder.path() / "data/mnist/t10k-labels-idx1-ubyte"));

  fs::remove_all(folder.path() / "data");
  fs::resize_file(folder.path() / "given/t10k-labels-idx1-ubyte", 500);
  EXPECT_THAT(MessageOf<UserError>(request, tell), HasSubstr("ends at byte 500"));
  EXPECT_FALSE(fs::exists(folder.path() / "data/mnist"));
  fs::remove(folder.path() / "given/t10k-labels-idx1-ubyte");
  EXPECT_THAT(MessageOf<UserError>(request, tell), HasSubstr("there is no "));
}

TEST(Fetch, RefusesWhatItCannotUnderstand) {
  const TemporaryFolder folder;
  std::ostringstream tell;
  EXPECT_THAT(MessageOf<UserError>({.name = "cifra10", .from = {}, .to = "data"}, tell),
              HasSubstr("did you mean 'cifar10'?; there are cifar10, cifar100, mnist, fashion_mnist"));
  EXPECT_THAT(MessageOf<UserError>({.name = "csv", .from = {}, .to = "data"}, tell), HasSubstr("there is no 'csv'"));
  const std::string file = folder.Write("train-images-idx3-ubyte.gz", "");
  EXPECT_THAT(MessageOf<UserError>({.name = "mnist", .from = file, .to = folder.path().string()}, tell),
              HasSubstr("give the folder that holds them"));
  EXPECT_THAT(MessageOf<UserError>({.name = "mnist", .from = "/nowhere", .to = folder.path().string()}, tell),
              HasSubstr("no such file or folder"));
  EXPECT_FALSE(fs::exists(folder.path() / "mnist.part"));
}

TEST(ExtractFiles, WritesTheFilesItKnowsAndNothingOutsideTheFolder) {
  const TemporaryFolder folder;
  const fs::path archive = folder.path() / "a.tar.gz";
  WriteArchive(archive, {{"../outside", "evil"},
                         {(folder.path() / "absolute").string(), "evil"},
                         {"set/../../outside", "evil"},
                         {"set/unknown", "not asked for"},
                         {"set/one", "wrong size"},
                         {"set/one", "1"},
                         {"set/two", "22"}});
  ExtractFiles(archive, {{"set/two", 2}, {"set/one", 1}}, folder.path() / "in/there");
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder.path())) {
    if (entry.is_regular_file()) files.push_back(fs::relative(entry.path(), folder.path()).string());
  }
  EXPECT_THAT(files, ::testing::UnorderedElementsAre("a.tar.gz", "in/there/set/one", "in/there/set/two"));
  EXPECT_EQ(ReadFile(folder.path() / "in/there/set/two"), "22");
  EXPECT_THAT(UserErrorOf([&] {
                ExtractFiles(archive, {{"set/three", 3}}, folder.path());
              }),
              HasSubstr("does not hold set/three"));
}

TEST(ExtractFiles, AnArchiveThatIsCutShortIsTheUsersError) {
  const TemporaryFolder folder;
  const fs::path archive = folder.path() / "a.tar.gz";
  WriteArchive(archive, {{"one", RandomBytes(100'000)}});
  fs::resize_file(archive, 50'000);
  EXPECT_THAT(UserErrorOf([&] {
                ExtractFiles(archive, {{"one", 100'000}}, folder.path());
              }),
              HasSubstr("cannot be unpacked"));
}

}  // namespace
}  // namespace crescendo::data
