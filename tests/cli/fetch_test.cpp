// crescendo fetch, as a process; what it does with files is tested in crescendo/data/fetch_test.cpp.
#include "tests/cli/program.h"

namespace crescendo::cli {
namespace {

using support::ProcessResult;
using ::testing::AllOf;
using ::testing::HasSubstr;

class FetchCommand : public ProgramTest {
 protected:
  // A machine without a network: every way out leads to a port on which nobody listens.
  static support::ProcessOptions Offline() {
    support::ProcessOptions options;
    for (const char* name : {"http_proxy", "https_proxy", "all_proxy"}) {
      options.environment[name] = "http://127.0.0.1:9";
    }
    options.environment["no_proxy"] = "";
    return options;
  }
};

TEST_F(FetchCommand, WithoutANetworkSaysWhatToDoByHand) {
  for (const std::string name : {"cifar10", "fashion_mnist"}) {
    const ProcessResult result = Crescendo({"fetch", name, "--to", "sets"}, Offline());
    EXPECT_EQ(result.exit_code, 1) << name;
    EXPECT_THAT(result.errors,
                AllOf(HasSubstr("crescendo: cannot download http"), HasSubstr("By hand: download"),
                      HasSubstr("crescendo fetch " + name + " --from"), HasSubstr("--to sets"), IsForPeople()));
  }
}

TEST_F(FetchCommand, UnknownNamesAndMissingFilesAreTheUsersMistake) {
  ProcessResult result = Crescendo({"fetch", "cifar11"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.errors, HasSubstr("did you mean 'cifar10'?"));
  result = Crescendo({"fetch", "mnist", "--from", "nowhere"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.errors, HasSubstr("--from nowhere: there is no such file or folder"));
  EXPECT_FALSE(Exists("data/mnist.part"));
}

TEST_F(FetchCommand, TakesFilesThatAreHereWithoutANetwork) {
  const char* data = std::getenv("CRESCENDO_DATA");
  const std::filesystem::path here = std::filesystem::path(data != nullptr ? data : "data") / "fashion-mnist";
  if (!std::filesystem::exists(here)) GTEST_SKIP() << "needs real data: crescendo fetch fashion_mnist";
  const std::string from = std::filesystem::absolute(here).string();
  const ProcessResult result = Crescendo({"fetch", "fashion_mnist", "--from", from, "--to", "sets"}, Offline());
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_TRUE(Exists("sets/fashion-mnist/train-images-idx3-ubyte.gz"));
}

}  // namespace
}  // namespace crescendo::cli
