#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "crescendo/base/nearest_name.h"
#include "crescendo/base/random.h"
#include "crescendo/base/writable.h"
#include "tests/support/temporary_folder.h"

namespace crescendo {
namespace {

using ::testing::HasSubstr;

// The known-answer vectors of the authors' Random123 library (kat_vectors, philox4x32 10).
TEST(Random, PhiloxGivesTheAuthorsKnownAnswers) {
  EXPECT_EQ(Philox({0, 0, 0, 0}, 0), (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, 0xffffffffffffffff),
            (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822),
            (std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, StreamsAndPartsDoNotShareKeys) {
  std::set<uint64_t> keys;
  for (uint64_t seed : {0, 1, 2}) {
    for (Stream stream : {Stream::kInitialWeights, Stream::kExampleOrder, Stream::kAugmentation}) {
      for (uint64_t epoch : {0, 1, 2}) keys.insert(RandomKey(seed, stream, epoch));
    }
  }
  EXPECT_EQ(keys.size(), 27);
}

TEST(Random, BelowStaysBelowAndReachesBothEnds) {
  EXPECT_EQ(RandomBelow(0, 9), 0);
  EXPECT_EQ(RandomBelow(~uint64_t{0}, 9), 8);
  EXPECT_LT(RandomUnit(~uint64_t{0}), 1.0);
}

TEST(NearestName, FindsWhatWasMeantAndNothingElse) {
  const std::vector<std::string> names = {"learning_rate", "momentum", "max_batch"};
  EXPECT_EQ(NearestName("learing_rate", names), "learning_rate");
  EXPECT_EQ(NearestName("momentun", names), "momentum");
  EXPECT_EQ(NearestName("batch_max", names), "");
  EXPECT_EQ(NearestName("zzz", names), "");
  EXPECT_EQ(NearestName("lr", names), "learning_rate");
  const std::vector<std::string> devices = {"auto", "cpu", "cuda"};
  EXPECT_EQ(NearestName("gpu", devices), "cuda") << "though cpu is nearer";
  EXPECT_EQ(NearestName("gpu", std::vector<std::string>{"auto", "cpu"}), "cpu");
  EXPECT_EQ(DidYouMean("zzz", devices), "");
  EXPECT_EQ(DidYouMeanOrAll("zzz", devices), "; there are auto, cpu, cuda");
  EXPECT_EQ(DidYouMeanOrAll("gpu", devices), "; did you mean cuda?");
}

TEST(File, IsReplacedWholeAndAMissingOneIsTheUsersError) {
  const auto folder = std::filesystem::temp_directory_path() / ("crescendo_base_test_" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  const auto path = folder / "a.txt";
  WriteFileAtomically(path, "first");
  WriteFileAtomically(path, "second");
  EXPECT_EQ(ReadFile(path), "second");
  EXPECT_FALSE(std::filesystem::exists(folder / "a.txt.part"));
  EXPECT_THROW(
      try { ReadFile(folder / "b.txt"); } catch (const UserError& error) {
        EXPECT_THAT(error.what(), HasSubstr("No such file"));
        throw;
      },
      UserError);
  EXPECT_THROW(WriteFileAtomically(folder / "missing" / "c.txt", "x"), RunError);
  std::filesystem::remove_all(folder);
}

// Nothing is mapped at address 0, where this file begins.
TEST(File, ThatCannotBeReadToItsEndIsNotTakenForAShorterOne) {
  const auto read = [](const std::filesystem::path& path) -> std::string {
    try {
      return "content: " + ReadFile(path);
    } catch (const RunError& error) {
      return error.what();
    }
  };
  EXPECT_EQ(read("/proc/self/mem"), "cannot read /proc/self/mem: Input/output error");

  const support::TemporaryFolder folder;
  const std::filesystem::path pipe = folder / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::string long_text;  // several times what is read at once
  for (int i = 0; i < 100'000; ++i) long_text += std::to_string(i);
  std::thread writer([&] { std::ofstream(pipe) << long_text; });
  EXPECT_EQ(read(pipe), "content: " + long_text);
  writer.join();
  EXPECT_EQ(read(folder.Write("empty", "")), "content: ");
}

TEST(File, ThatCannotBeWrittenLeavesNothingBehind) {
  const support::TemporaryFolder folder;
  std::filesystem::create_directories(folder / "taken/by a folder");
  EXPECT_THROW(WriteFileAtomically(folder / "taken", "x"), RunError);
  EXPECT_FALSE(std::filesystem::exists(folder / "taken.part"));
  try {
    WriteFileAtomically(folder / "no such folder/file", "x");
    FAIL();
  } catch (const RunError& error) {  // by its own name, not by that of what is written beside it
    EXPECT_THAT(error.what(), HasSubstr("no such folder/file: No such file or directory"));
  }
}

TEST(File, WhatCannotBeWrittenIsToldBeforehand) {
  const support::TemporaryFolder folder;
  EXPECT_EQ(WhyNotWritable(folder.path()), "");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_EQ(WhyNotWritable(folder / "none"), "there is no folder " + (folder / "none").string());
  EXPECT_EQ(WhyNotWritable(folder.Write("a.txt", "")), (folder / "a.txt").string() + " is a file and no folder");
  EXPECT_EQ(WhyNotWritable("/proc"),
            "no file can be made in /proc: " + std::string(std::strerror(::geteuid() == 0 ? ENOENT : EACCES)));
}

TEST(Assertion, NamesTheConditionAndThePlace) {
  try {
    CRESCENDO_ASSERT(1 + 1 == 3, "arithmetic");
    FAIL();
  } catch (const std::logic_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("1 + 1 == 3"));
    EXPECT_THAT(error.what(), HasSubstr("base_test.cpp"));
  }
}

}  // namespace
}  // namespace crescendo
