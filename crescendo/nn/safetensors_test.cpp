#include "crescendo/nn/safetensors.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "crescendo/nn/test_support.h"
#include "tests/support/temporary_folder.h"

namespace crescendo::nn {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Safetensors : public ::testing::Test {
 protected:
  const support::TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.path();
  const fs::path path_ = folder_ / "a.safetensors";
};

std::string Bytes(const std::string& header, size_t data_size) {
  const uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + std::string(data_size, '\1');
}

TEST_F(Safetensors, GivesBackWhatWasWritten) {
  const std::vector<NamedTensor> tensors = {
      {"bool", at::tensor({1, 0, 1}).to(at::kBool)},
      {"u8", at::arange(5).to(at::kByte)},
      {"bf16", Wave({3}, 0, 1).to(at::kBFloat16)},
      {"f16", Wave({2, 2}, 0, 1).to(at::kHalf)},
      {"i32", at::arange(-3, 3).to(at::kInt)},
      {"scalar \"quoted\" \xc3\xa9", at::full({}, 2.5F)},
      {"channels_last", Wave({2, 3, 4, 5}, 0, 1).contiguous(at::MemoryFormat::ChannelsLast)},
      {"empty", at::empty({0, 3})},
      {"needs a gradient", Wave({3}, 1, 1).requires_grad_()},
      {"f64", at::arange(4, at::kDouble).div(3)},
      {"i64", at::full({2}, int64_t{1} << 40, at::kLong)},
  };
  WriteSafetensors(path_, tensors, {{"key", "value"}, {"config", "a = 1\nb = \"x\""}});
  const SafetensorsFile file = ReadSafetensors(path_);
  EXPECT_THAT(Names(file.tensors), ElementsAre("f64", "i64", "i32", "scalar \"quoted\" \xc3\xa9", "channels_last",
                                               "empty", "needs a gradient", "bf16", "f16", "bool", "u8"));
  for (const NamedTensor& tensor : tensors) {
    const at::Tensor read = Find(file.tensors, tensor.name);
    EXPECT_EQ(read.scalar_type(), tensor.value.scalar_type()) << tensor.name;
    EXPECT_TRUE(read.equal(tensor.value)) << tensor.name;
    EXPECT_TRUE(read.is_contiguous() && !read.requires_grad()) << tensor.name;
  }
  EXPECT_EQ(file.metadata, (Metadata{{"key", "value"}, {"config", "a = 1\nb = \"x\""}}));
  EXPECT_EQ(ReadSafetensorsMetadata(path_), file.metadata);
}

TEST_F(Safetensors, FileWithoutTensorsIsAFile) {
  WriteSafetensors(path_, {}, {});
  EXPECT_TRUE(ReadSafetensors(path_).tensors.empty());
}

TEST_F(Safetensors, MetadataThatIsNotUtf8DoesNotLoseTheWeights) {
  WriteSafetensors(path_, {{"a", at::arange(3)}}, {{"folder", "/data/\xff"}});
  EXPECT_TRUE(ReadSafetensors(path_).tensors.at(0).value.equal(at::arange(3)));
}

TEST_F(Safetensors, DataBeginAtAMultipleOfEight) {
  for (const char* name : {"a", "ab", "abc", "abcd", "abcde", "abcdef", "abcdefg", "abcdefgh"}) {
    WriteSafetensors(path_, {{name, at::full({1}, 1.0)}}, {});
    EXPECT_EQ((fs::file_size(path_) - sizeof(float)) % 8, 0) << name;
  }
}

TEST_F(Safetensors, WrittenByHandIsRead) {
  // Whitespace, another order, an empty tensor in between.
  std::string bytes = Bytes(
      R"( {"b":{"shape":[2],"data_offsets":[4,8],"dtype":"BF16"}, "e":{"dtype":"I64","shape":[0],"data_offsets":[4,4]},
                               "a":{"dtype":"U8","shape":[2,2],"data_offsets":[0,4]}}  )",
      8);
  WriteFileAtomically(path_, bytes);
  const SafetensorsFile file = ReadSafetensors(path_);
  EXPECT_THAT(Names(file.tensors), ElementsAre("a", "e", "b"));
  EXPECT_TRUE(file.tensors[0].value.equal(at::full({2, 2}, 1, at::kByte)));
  EXPECT_THAT(file.tensors[1].value.sizes(), ElementsAre(0));
}

TEST_F(Safetensors, ByteThatIsNeitherTrueNorFalseIsTrue) {
  WriteFileAtomically(path_, Bytes(R"({"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}})", 0) + '\x07');
  EXPECT_TRUE(ReadSafetensors(path_).tensors[0].value.equal(at::full({1}, true, at::kBool)));
}

TEST_F(Safetensors, MalformedFilesAreRefusedWithTheReason) {
  const std::string good = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  const std::pair<std::string, const char*> cases[] = {
      {"", "it has 0 bytes"},
      {"1234567", "it has 7 bytes"},
      {std::string(8, '\xff'), "its header claims 18446744073709551615 bytes, the file has 8"},
      {Bytes("{}", 0).substr(0, 9), "its header claims 2 bytes"},
      {Bytes("", 0), "not a JSON object"},
      {Bytes("[1]", 0), "not a JSON object"},
      {Bytes("{\"a\"", 0), "not a JSON object"},
      {Bytes("{} x", 0), "not a JSON object"},
      {Bytes("{\"\xff\":1}", 0), "not a JSON object"},
      {Bytes("{" + good + "}", 7), "claims bytes 0 to 8 of 7"},
      {Bytes("{" + good + "}", 9), "its tensors end at byte 8 of 9"},
      {Bytes("{" + good + "," + good + "}", 8), "has a name twice"},
      {Bytes(R"({"a":1})", 0), "tensor \"a\" has no proper dtype"},
      {Bytes(R"({"a":{"dtype":7,"shape":[2],"data_offsets":[0,8]}})", 8), "has no proper dtype"},
      {Bytes(R"({"a":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}})", 8), "is of type F8_E4M3"},
      {Bytes(R"({"a":{"dtype":"F32","data_offsets":[0,8]}})", 8), "has no proper shape"},
      {Bytes(R"({"a":{"dtype":"F32","shape":2,"data_offsets":[0,8]}})", 8), "has no proper shape"},
      {Bytes(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8), "has no proper shape"},
      {Bytes(R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", 8), "has no proper shape"},
      {Bytes(R"({"a":{"dtype":"F32","shape":["2"],"data_offsets":[0,8]}})", 8), "has no proper shape"},
      {Bytes(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}})", 8), "has no proper data_offsets"},
      {Bytes(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,-8]}})", 8), "has no proper data_offsets"},
      {Bytes(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8), "claims bytes 8 to 0"},
      {Bytes(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8), "needs 12 bytes but has 8"},
      {Bytes(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4611686018427387904],"data_offsets":[0,8]}})", 8),
       "impossible shape"},
      {Bytes(R"({"a":{"dtype":"F32","shape":[0,4611686018427387904,4],"data_offsets":[0,0]}})", 0), "impossible shape"},
      {Bytes(R"({"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8]}})", 8), "impossible shape"},
      {Bytes("{" + good + R"(,"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12), "overlaps another"},
      {Bytes("{" + good + R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}})", 16), "leaves a gap"},
      {Bytes(R"({"__metadata__":7})", 0), "its metadata is not an object"},
      {Bytes(R"({"__metadata__":{"a":7}})", 0), "its metadata \"a\" is not a text"},
      {Bytes("{\"a\":" + std::string(1'000'000, '[') + std::string(1'000'000, ']') + "}", 0), "nested too deeply"},
  };
  for (const auto& [bytes, reason] : cases) {
    WriteFileAtomically(path_, bytes);
    try {
      ReadSafetensors(path_);
      ADD_FAILURE() << "accepted, though: " << reason;
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), HasSubstr(reason));
      EXPECT_THAT(error.what(), HasSubstr(path_.string()));
    }
    EXPECT_THROW(ReadSafetensorsMetadata(path_), UserError) << reason;
  }
}

// It would fit into the file, which has a hole there. The limit of the format comes before memory is taken.
TEST_F(Safetensors, HeaderThatIsLargerThanTheFormatAllowsIsRefused) {
  for (const auto& [claim, reason] :
       {std::pair(200'000'000, "its header claims 200000000 bytes"), std::pair(100'000'000, "not a JSON object")}) {
    const uint64_t length = static_cast<uint64_t>(claim);
    std::string bytes(sizeof length, '\0');
    std::memcpy(bytes.data(), &length, sizeof length);
    WriteFileAtomically(path_, bytes);
    fs::resize_file(path_, 300'000'000);
    try {
      ReadSafetensors(path_);
      ADD_FAILURE() << "accepted, though: " << reason;
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), HasSubstr(reason));
    }
  }
}

// Every file that is one byte away from a good one, or cut short, is read or refused: no crash, no exception of another
// kind.
TEST_F(Safetensors, DamagedFilesAreReadOrRefused) {
  WriteSafetensors(path_, {{"a", Wave({2, 3}, 0, 1)}, {"b", at::arange(3)}}, {{"key", "value"}});
  const std::string good = ReadFile(path_);
  const auto is_refused = [&](const std::string& bytes) {
    std::ofstream(path_, std::ios::binary) << bytes;
    try {
      ReadSafetensors(path_);
      return false;
    } catch (const UserError&) {
      return true;
    }
  };
  for (size_t size = 0; size < good.size(); ++size) EXPECT_TRUE(is_refused(good.substr(0, size))) << size;
  int refused = 0;
  for (size_t i = 0; i + 48 < good.size(); ++i) {
    for (const char byte : {'\0', '9', '"', '}', '\xff'}) {
      std::string damaged = good;
      damaged[i] = byte;
      refused += is_refused(damaged) ? 1 : 0;
    }
  }
  EXPECT_GT(refused, 500);
}

TEST_F(Safetensors, WhatIsNotAFileIsTheUsersError) {
  for (const fs::path& path : {folder_ / "missing", folder_}) {
    try {
      ReadSafetensors(path);
      ADD_FAILURE() << path;
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), HasSubstr("cannot read " + path.string()));
    }
  }
}

// The other direction, a file of Python's that we read, is testdata/torch_tables.safetensors.
TEST_F(Safetensors, PythonOpensWhatWeWrite) {
  const char* given = std::getenv("CRESCENDO_PYTHON");
  const std::string python = given == nullptr ? "python3" : given;
  if (std::system((python + " -c 'import numpy, safetensors.numpy' 2> /dev/null").c_str()) != 0) {
    GTEST_SKIP() << "needs safetensors for Python: scripts/python_readers.sh";
  }
  WriteSafetensors(
      path_,
      {{"u8", at::arange(3).to(at::kByte)},
       {"weight", at::arange(24, at::kFloat).view({1, 2, 3, 4}).contiguous(at::MemoryFormat::ChannelsLast)},
       {"f64", at::full({1}, 0.5, at::kDouble)},
       {"count", at::full({}, 7, at::kLong)}},
      {{"config", "a = \"x\"\n"}});
  const fs::path script = folder_ / "check.py";
  WriteFileAtomically(script, R"(import sys
import numpy
from safetensors import safe_open
with safe_open(sys.argv[1], framework="numpy") as file:
    assert file.metadata() == {"config": 'a = "x"\n'}, file.metadata()
    assert sorted(file.keys()) == ["count", "f64", "u8", "weight"], file.keys()
    weight = file.get_tensor("weight")
    assert weight.dtype == numpy.float32 and weight.shape == (1, 2, 3, 4), weight
    assert (weight.ravel() == numpy.arange(24)).all(), weight
    assert file.get_tensor("u8").tolist() == [0, 1, 2]
    assert file.get_tensor("f64").tolist() == [0.5]
    assert file.get_tensor("count").item() == 7
)");
  EXPECT_EQ(std::system((python + " " + script.string() + " " + path_.string()).c_str()), 0);
}

}  // namespace
}  // namespace crescendo::nn
