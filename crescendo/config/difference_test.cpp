#include "crescendo/config/difference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crescendo/config/fields.h"
#include "crescendo/config/load.h"

namespace crescendo::config {
namespace {

using ::testing::ElementsAre;

constexpr const char* kConfig = R"(
[reference]
boundaries = ["60ep"]
)";

std::vector<std::string> Differences(const std::vector<std::string>& overrides) {
  std::vector<std::string> texts;
  const Options before = LoadText(kConfig, "x.toml");
  for (const Difference& difference : DifferencesBetween(before, LoadText(kConfig, "x.toml", overrides))) {
    texts.push_back(ToText(difference));
  }
  return texts;
}

TEST(Difference, IsShownKeyByKey) {
  EXPECT_THAT(Differences({}), ElementsAre());
  EXPECT_THAT(Differences({"schedule.max_batch=640", "run.seed=2"}),
              ElementsAre("run.seed: 1, now 2", "schedule.max_batch: \"N/10\", now 640"));
}

TEST(Difference, OptionsThatHangOnAChangedOneComeAndGoWithIt) {
  EXPECT_THAT(
      Differences({"schedule.policy=decay"}),
      ElementsAre("schedule.at_cap: \"hybrid\", now not in use", "schedule.hysteresis: 0.25, now not in use",
                  "schedule.policy: \"grow\", now \"decay\"", "schedule.rounding: \"nearest\", now not in use"));
}

TEST(Effect, IsThatOfARunWhereNothingElseIsSaid) {
  EXPECT_EQ(EffectOf("data.folder"), Effect::kNothing);
  EXPECT_EQ(EffectOf("checkpoint.every"), Effect::kNothing);
  EXPECT_EQ(EffectOf("run.threads"), Effect::kRounding);
  EXPECT_EQ(EffectOf("run.workers"), Effect::kRounding);
  EXPECT_EQ(EffectOf("run.seed"), Effect::kRun);
  EXPECT_EQ(EffectOf("an.option_of_tomorrow"), Effect::kRun);
  // The keys in the table are those of options that exist.
  const auto keys = AllKeys();
  int known = 0;
  for (const std::string& key : keys) known += EffectOf(key) != Effect::kRun ? 1 : 0;
  EXPECT_EQ(known, 7 + 8 + 6);
}

}  // namespace
}  // namespace crescendo::config
