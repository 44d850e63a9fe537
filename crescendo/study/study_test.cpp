#include "crescendo/study/study.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "crescendo/base/error.h"
#include "crescendo/study/test_support.h"

namespace crescendo::study {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// What LoadStudy says of this file, beside kBase; "" where it is content.
std::string Complaint(const std::string& text, const std::vector<std::string>& overrides = {}) {
  const support::TemporaryFolder folder;
  folder.Write("base.toml", kBase);
  const std::string path = folder.Write("letter.toml", text);
  try {
    LoadStudy(path, overrides);
  } catch (const UserError& error) {
    std::string message = error.what();
    for (size_t at = message.find(path); at != std::string::npos; at = message.find(path)) {
      message.replace(at, path.size(), "letter.toml");
    }
    return message;
  }
  return "";
}

TEST(StudyFile, IsABaseVariantsAndTerms) {
  const support::TemporaryFolder folder;
  folder.Write("base.toml", kBase);
  const Study study = LoadStudy(folder.Write("letter.toml", R"(
question = "same?"
base = "base.toml"
seeds = [7, 3]
reference = "grow"
margin = 0.5
equal = "updates"
runs = "elsewhere"
[options]
model.width = 2
[variants.zebra]
schedule.policy = "decay"
[variants.grow]
model.width = 3
[variants.grow.schedule]
max_batch = "none"
)"),
                                {"data.folder=/data"});
  EXPECT_EQ(study.name, "letter");
  EXPECT_EQ(study.question, "same?");
  EXPECT_THAT(study.seeds, ElementsAre(7, 3));
  EXPECT_EQ(study.reference, 1);
  EXPECT_EQ(study.margin, 0.5);
  EXPECT_EQ(study.equal, Equal::kUpdates);
  EXPECT_EQ(study.runs, "elsewhere");
  ASSERT_EQ(study.variants.size(), 2);
  EXPECT_EQ(study.variants[0].name, "zebra");  // the order of the file
  EXPECT_EQ(study.variants[0].options.model.width, 2);
  EXPECT_EQ(study.variants[1].options.model.width, 3);  // a variant wins over [options]
  EXPECT_EQ(study.variants[1].options.schedule.max_batch.kind, config::BatchLimit::Kind::kNone);
  EXPECT_EQ(study.variants[1].options.data.folder, "/data");
  EXPECT_EQ(study.variants[0].options.run.seed, 7);
}

TEST(StudyFile, HasDefaults) {
  const support::TemporaryFolder folder;
  const Study study = SmallStudy(folder, "");
  EXPECT_THAT(study.seeds, ElementsAre(1, 2, 3, 4, 5));
  EXPECT_EQ(study.margin, 0.3);
  EXPECT_EQ(study.equal, Equal::kEpochs);
  EXPECT_EQ(study.reference, 0);
}

constexpr const char* kTwo = "[variants.a]\nschedule.policy = \"decay\"\n[variants.b]\n";

TEST(StudyFile, MistakesAreToldWithTheirPlace) {
  const std::string two = kTwo;
  EXPECT_EQ(Complaint("base = \"base.toml\"\n" + two), "");
  EXPECT_EQ(Complaint("base = \"base.toml\"\nsedes = 5\n" + two),
            "letter.toml:2:1: sedes is not a key of a study; did you mean seeds?");
  EXPECT_THAT(Complaint("base = \"base.toml\"\nzzzzzzzz = 5\n" + two), HasSubstr("there are base, equal, margin,"));
  EXPECT_EQ(Complaint("base = \"base.toml\"\n[variants.a]\n[variants.b]\nschedule.max_bach = 5\n"),
            "letter.toml:4:10: schedule.max_bach is not an option; did you mean schedule.max_batch?");
  EXPECT_EQ(Complaint("base = \"base.toml\"\n[options]\nschedule.policy = \"grwo\"\n" + two)
                .find("letter.toml:3:19: schedule.policy = "),
            0);
  EXPECT_THAT(Complaint("base = \"base.toml\"\nseeds = 0\n" + two),
              HasSubstr("letter.toml:2:9: seeds = 0: it must be from"));
  EXPECT_THAT(Complaint("base = \"base.toml\"\nseeds = [1, 2, 1]\n" + two), HasSubstr("1 is there twice"));
  EXPECT_THAT(Complaint("base = \"base.toml\"\nseeds = \"five\"\n" + two), HasSubstr("it must be how many"));
  EXPECT_THAT(Complaint("base = \"base.toml\"\nmargin = 0\n" + two),
              HasSubstr("letter.toml:2:10: margin = 0: it must be above"));
  EXPECT_THAT(Complaint("base = \"base.toml\"\nreference = \"aa\"\n" + two), HasSubstr("the variants are a, b"));
  EXPECT_THAT(Complaint("base = \"bse.toml\"\n" + two),
              HasSubstr("letter.toml:1:8: base = \"bse.toml\": there is no file"));
  EXPECT_THAT(Complaint(two), HasSubstr("letter.toml has no base"));
  EXPECT_THAT(Complaint("base = \"base.toml\"\n"), HasSubstr("letter.toml has no variants"));
  EXPECT_THAT(Complaint("base = \"base.toml\"\n[variants.a]\n"), HasSubstr("two variants or more"));
  EXPECT_THAT(Complaint("base = \"base.toml\"\n[variants]\na = 3\nb = 4\n"), HasSubstr("variants.a must be a section"));
  EXPECT_THAT(Complaint("base = \"base.toml\"\n[variants.\"a b\"]\n[variants.c]\n"),
              HasSubstr("'a b' cannot name a variant"));
  EXPECT_THAT(Complaint("base = \"base.toml\"\n[variants.a]\nrun.seed = 3\n[variants.b]\n"),
              HasSubstr("letter.toml:3:"));
  EXPECT_THAT(Complaint("base = \"base.toml\"\n" + two, {"run.seed=4"}), HasSubstr("--seeds"));
  EXPECT_THAT(Complaint("base = base.toml\n" + two), HasSubstr("letter.toml:1:"));
}

TEST(StudyFile, KnowsTheTermsOnWhichVariantsCompare) {
  const std::string two = kTwo;
  for (const auto& known : kEnumCases<Equal>) {
    EXPECT_EQ(Complaint("base = \"base.toml\"\nequal = \"" + std::string(known.name) + "\"\n" + two), "");
  }
  EXPECT_THAT(Complaint("base = \"base.toml\"\nequal = \"epoch\"\n" + two), HasSubstr("did you mean epochs?"));
}

TEST(StudyFile, EveryRecipeThatIsAStudyLoads) {
  int64_t studies = 0;
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator("recipes")) {
    if (!IsStudyFile(entry.path())) continue;
    ++studies;
    const Study study = LoadStudy(entry.path());
    EXPECT_TRUE(names.insert(study.name).second) << "two studies are called " << study.name;
    EXPECT_FALSE(study.question.empty()) << entry.path();
  }
  EXPECT_EQ(studies, 10 + 12);  // of recipes/studies and recipes/paper
}

}  // namespace
}  // namespace crescendo::study
