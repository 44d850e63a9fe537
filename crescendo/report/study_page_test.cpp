// The page of a study, also opened in a real browser (tests/browser/page_test.py), where one is installed.
#include "crescendo/report/study_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "crescendo/report/study_fixture.h"
#include "tests/support/process.h"
#include "tests/support/temporary_folder.h"

namespace crescendo::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Page(const StudyResults& results) { return StudyPage(results, Summarize(results)); }

TEST(StudyPage, NeedsNothingBesideItself) {
  const std::string page = Page(FixtureStudy());
  for (const char* outside : {"src=", "href=", "@import", "https://", "fetch("}) {
    EXPECT_THAT(page, Not(HasSubstr(outside)));
  }
  EXPECT_LT(page.size(), 200'000);
}

TEST(StudyPage, TextFromOutsideIsTextAndNotHtml) {
  StudyResults results = FixtureStudy();
  results.variants[3].runs.back().reason = "</script><script>alert(1)</script>";
  const std::string page = Page(results);
  EXPECT_THAT(page, HasSubstr("Are &lt;b&gt;three&lt;/b&gt; schedules the same &amp; the fourth worse?"));
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));

  // The JSON in the page is still that JSON.
  const std::string open = "id=\"study\">";
  const size_t begin = page.find(open) + open.size();
  const auto json = nlohmann::json::parse(page.substr(begin, page.find("</script>", begin) - begin));
  EXPECT_EQ(json["variants"][3]["runs"][4]["reason"], results.variants[3].runs.back().reason);
}

TEST(StudyPage, SaysWhatIsNotDoneYet) {
  StudyResults results = FixtureStudy();
  EXPECT_THAT(Page(results), Not(HasSubstr("Not done yet")));
  results.variants[0].runs[4].state = RunState::kUnfinished;
  results.variants[1].runs[4] = {5, "", RunState::kWaiting, "", std::nullopt};
  EXPECT_THAT(Page(results), HasSubstr("Not done yet: 1 run begun and without an end, 1 not begun."));
}

TEST(StudyPage, WorksInABrowser) {
  const support::TemporaryFolder folder;
  std::vector<std::string> words = {"python3", "tests/browser/page_test.py",
                                    folder.Write("study.html", Page(FixtureStudy()))};
  if (const char* screenshots = std::getenv("CRESCENDO_SCREENSHOTS")) {
    words.insert(words.end(), {"--screenshots", screenshots});
  }
  const support::ProcessResult result = support::RunProcess(words);
  constexpr int kNoBrowser = 77;
  if (result.exit_code == kNoBrowser) GTEST_SKIP() << result.output;
  EXPECT_EQ(result.exit_code, 0) << result.output << result.errors;
}

}  // namespace
}  // namespace crescendo::report
