#include "crescendo/config/digest.h"

#include <gtest/gtest.h>

#include "crescendo/base/error.h"
#include "crescendo/config/load.h"
#include "tests/support/temporary_folder.h"

namespace crescendo::config {
namespace {

std::string DigestWith(const std::vector<std::string>& overrides) {
  return Digest(LoadText("reference.boundaries = [\"60ep\"]", "study.toml", overrides));
}

TEST(Digest, IsOfWhatIsLearned) {
  const std::string plain = DigestWith({});
  EXPECT_EQ(plain.size(), 16);
  EXPECT_EQ(DigestWith({"run.threads=7", "run.log_every=100", "run.device=cpu", "run.evaluate_every=5ep",
                        "data.folder=/elsewhere", "data.threads=3", "data.prefetch=9"}),
            plain);
  for (const char* change :
       {"run.seed=2", "run.precision=bf16", "schedule.length=201ep", "model.width=5", "reference.momentum=0.8"}) {
    EXPECT_NE(DigestWith({change}), plain) << change;
  }
}

TEST(Digest, IsOfTheContentOfFilesAndNotOfTheirNames) {
  const support::TemporaryFolder folder;
  const auto of_table = [&](const std::string& name, const std::string& content) {
    return DigestWith(
        {"data.name=csv", "model.name=mlp", "data.test_examples=1", "data.train_file=" + folder.Write(name, content)});
  };
  const std::string first = of_table("a.csv", "1,2\n");
  EXPECT_EQ(of_table("b/c.csv", "1,2\n"), first);
  EXPECT_NE(of_table("a.csv", "1,3\n"), first);
  EXPECT_THROW(
      DigestWith({"data.name=csv", "model.name=mlp", "data.test_examples=1", "data.train_file=/no/such/table"}),
      UserError);
}

}  // namespace
}  // namespace crescendo::config
