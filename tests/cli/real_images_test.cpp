// The program on real images: seconds of training by a tiny network, which must learn more than chance.
#include "tests/cli/program.h"

namespace crescendo::cli {
namespace {

using support::ProcessResult;

class RealImages : public ProgramTest {
 protected:
  // Where the data sets are: $CRESCENDO_DATA, or data/ in the repository.
  static std::filesystem::path DataFolder() {
    const char* folder = std::getenv("CRESCENDO_DATA");
    return std::filesystem::absolute(folder != nullptr ? folder : "data");
  }

  // Test accuracy after a batch that grows from 20 to 100 on the first 600 examples.
  double AccuracyOn(const std::string& data, const std::string& model) const {
    folder_.Write("images.toml",
                  "[data]\nfolder = '" + DataFolder().string() + "'\n" + data +
                      "train_examples = 600\ntest_examples = 400\n" + model +
                      "ghost_batch = 20\n"
                      "[optimizer]\nweight_decay = 5e-4\n"
                      "[reference]\nglobal_batch = 20\nlearning_rate = 0.05\nboundaries = ['2ep']\nfactor = 0.2\n"
                      "[schedule]\nlength = '3ep'\nmax_batch = 'none'\n"
                      "[run]\ndevice = 'cpu'\nthreads = 1\nmicro_batch = 100\nevaluate_every = '3ep'\n");
    const ProcessResult result = Crescendo({"train", "images.toml", "--out", "run"});
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return Log().back()["final_evaluation"]["test_accuracy"];
  }
};

// Chance is 0.1; of 400 test images 0.2 is more than six deviations above it.
TEST_F(RealImages, WideResNetLearnsCifar10) {
  if (!std::filesystem::exists(DataFolder() / "cifar-10-batches-bin")) {
    GTEST_SKIP() << "needs real data: crescendo fetch cifar10";
  }
  EXPECT_GT(AccuracyOn("name = 'cifar10'\n", "[model]\nname = 'wide_resnet'\ndepth = 10\nwidth = 1\n"), 0.2);
}

TEST_F(RealImages, MlpLearnsFashionMnist) {
  if (!std::filesystem::exists(DataFolder() / "fashion-mnist")) {
    GTEST_SKIP() << "needs real data: crescendo fetch fashion_mnist";
  }
  EXPECT_GT(AccuracyOn("name = 'fashion_mnist'\npad = 0\nflip = false\n", "[model]\nname = 'mlp'\nhidden = [64]\n"),
            0.6);
}

TEST_F(RealImages, MlpLearnsMnist) {
  if (!std::filesystem::exists(DataFolder() / "mnist")) GTEST_SKIP() << "needs real data: crescendo fetch mnist";
  EXPECT_GT(AccuracyOn("name = 'mnist'\npad = 0\nflip = false\n", "[model]\nname = 'mlp'\nhidden = [64]\n"), 0.7);
}

}  // namespace
}  // namespace crescendo::cli
