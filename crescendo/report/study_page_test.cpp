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
  results.variants[2].name = "\" onclick=\"alert(1)";
  const std::string page = Page(results);
  EXPECT_THAT(page, HasSubstr("data-name=\"&quot; onclick=&quot;alert(1)\""));
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
  EXPECT_THAT(Page(results), HasSubstr("Not done yet: 1 run begun and without an end, 1 not begun; only"));
}

TEST(StudyPage, SaysWhatItIsMadeOf) {
  StudyResults results = FixtureStudy();
  EXPECT_THAT(Page(results), Not(HasSubstr("id=\"note\"")));
  results.note = "runs/a holds <others>";
  const std::string page = Page(results);
  EXPECT_THAT(page, HasSubstr("<p id=\"note\">runs/a holds &lt;others&gt;</p>"));
  EXPECT_THAT(page, HasSubstr("recipes/studies/fixture.toml with run.precision=bf16, begun 2018-02-24T09:31:00Z</p>"));
  // The config whole: also what no variant states.
  const size_t config = page.find("<summary>Config of decay, whole</summary>");
  ASSERT_NE(config, std::string::npos);
  const std::string text = page.substr(config, page.find("</details>", config) - config);
  EXPECT_THAT(text, HasSubstr("boundaries = [&quot;10ep&quot;, &quot;20ep&quot;, &quot;30ep&quot;]"));
  EXPECT_THAT(text, HasSubstr("precision = &quot;fp32&quot;"));
}

TEST(StudyPage, ShowsTheTestsBehindTheVerdicts) {
  const std::string page = Page(FixtureStudy());
  EXPECT_THAT(page, HasSubstr("<h2>Accuracy beside decay</h2>"));
  // By hand: the pairs differ by -0.03, 0.09, -0.08, 0.06, 0.07: mean 0.022, deviation 0.0733, t = 0.022 / 0.0328.
  EXPECT_THAT(page, HasSubstr(">hybrid</td><td data-name=\"difference\">+0.02</td>"));
  EXPECT_THAT(page, HasSubstr("<td data-name=\"95 % interval\">-0.07 to +0.11</td>"));
  EXPECT_THAT(page, HasSubstr(">p = 0.00053\nHolm p = 0.0011</td>"));
  EXPECT_THAT(page, HasSubstr("<td data-name=\"paired t\">t(4) = 0.67, p = 0.54\nHolm p = 1</td>"));
  EXPECT_THAT(page, HasSubstr("<td data-name=\"Welch t\">t(6.85) = 0.25, p = 0.81</td>"));

  // Two seeds each are the least.
  StudyResults results = FixtureStudy();
  for (StudyVariant& variant : results.variants) variant.runs.resize(1);
  EXPECT_THAT(Page(results), Not(HasSubstr("id=\"tests\"")));
}

support::ProcessResult InABrowser(const StudyResults& results, std::vector<std::string> arguments) {
  const support::TemporaryFolder folder;
  arguments.insert(arguments.begin(),
                   {"python3", "tests/browser/page_test.py",
                    folder.Write("study.html", StudyPage(results, Summarize(results, /*workers=*/5)))});
  return support::RunProcess(arguments);
}

constexpr int kNoBrowser = 77;

TEST(StudyPage, WorksInABrowser) {
  std::vector<std::string> arguments = {"--beyond", "7"};
  if (const char* screenshots = std::getenv("CRESCENDO_SCREENSHOTS")) {
    arguments.insert(arguments.end(), {"--screenshots", screenshots});
  }
  const support::ProcessResult result = InABrowser(FixtureStudy(), arguments);
  if (result.exit_code == kNoBrowser) GTEST_SKIP() << result.output;
  EXPECT_EQ(result.exit_code, 0) << result.output << result.errors;
}

TEST(StudyPage, ShowsAVariantWhoseEveryRunDivergedAndWhyTimesDoNotCompare) {
  StudyResults results = FixtureStudy();
  results.variants[3].runs.assign(1, results.variants[3].runs.back());
  for (StudyVariant& variant : results.variants) {  // and that times of a shared GPU do not compare
    for (StudyRun& run : variant.runs) run.log->summary.header.gpu_id = "GPU-1";
  }
  const support::ProcessResult result = InABrowser(results, {"--beyond", "7"});
  if (result.exit_code == kNoBrowser) GTEST_SKIP() << result.output;
  EXPECT_EQ(result.exit_code, 0) << result.output << result.errors;
}

TEST(StudyPage, ShowsThePlanOfWhatIsNotFinishedYet) {
  StudyResults results = FixtureStudy();
  results.variants[2].planned_updates = 4875;
  for (StudyRun& run : results.variants[2].runs) {
    run.state = RunState::kUnfinished;
    run.log->summary.footer.reset();
  }
  RunCurve& behind = *results.variants[2].runs[0].log;
  behind.summary.evaluations.resize(20);
  behind.losses.resize(20);
  const support::ProcessResult result = InABrowser(results, {"--beyond", "7"});
  if (result.exit_code == kNoBrowser) GTEST_SKIP() << result.output;
  EXPECT_EQ(result.exit_code, 0) << result.output << result.errors;
}

}  // namespace
}  // namespace crescendo::report
