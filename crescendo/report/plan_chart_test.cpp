#include "crescendo/report/plan_chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <iterator>
#include <sstream>

#include "crescendo/report/plan_fixture.h"

namespace crescendo::report {
namespace {

using schedule::MakePlan;
using schedule::Policy;
using ::testing::DoubleNear;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pointwise;

const std::vector<NamedPlan>& PaperPlans() {
  static const std::vector<NamedPlan> plans = {{"decay", MakePlan(PaperRequest(Policy::kDecay, 50'000))},
                                               {"hybrid", MakePlan(PaperRequest(Policy::kGrow, 640))},
                                               {"grow <B> & hold lr", MakePlan(PaperRequest(Policy::kGrow, 50'000))}};
  return plans;
}

// The lines drawn in a style: those of the three panels and the one of the legend, each as its numbers.
std::vector<std::vector<double>> LinesOf(const std::string& svg, int style) {
  const std::string opening = "class=\"line s" + std::to_string(style) + "\" d=\"";
  std::vector<std::vector<double>> lines;
  for (size_t at = svg.find(opening); at != std::string::npos; at = svg.find(opening, at + 1)) {
    const size_t begin = at + opening.size();
    std::string d = svg.substr(begin, svg.find('"', begin) - begin);
    for (char& c : d) {
      if (std::isalpha(static_cast<unsigned char>(c)) != 0) c = ' ';
    }
    std::istringstream in(d);
    lines.emplace_back(std::istream_iterator<double>(in), std::istream_iterator<double>());
  }
  return lines;
}

TEST(PlanChart, DrawsTheNoiseOfEquivalentSchedulesAsOneLine) {
  const std::string svg = PlanChartSvg(PaperPlans());
  const auto decay = LinesOf(svg, 0);
  const auto hybrid = LinesOf(svg, 1);
  const auto grow = LinesOf(svg, 2);
  ASSERT_EQ(decay.size(), 4);
  ASSERT_EQ(grow.size(), 4);
  EXPECT_NE(decay[0], grow[0]);
  EXPECT_NE(decay[1], grow[1]);
  // An update that spans a boundary moves a step by less than a fifth of a pixel.
  EXPECT_THAT(grow[2], Pointwise(DoubleNear(0.2), decay[2]));
  EXPECT_THAT(hybrid[2], Pointwise(DoubleNear(0.2), decay[2]));
  EXPECT_THAT(svg, HasSubstr("the same for all"));
}

TEST(PlanChart, DoesNotClaimEqualNoiseWhereItDiffers) {
  schedule::PlanRequest hold = PaperRequest(Policy::kGrow, 640);
  hold.at_cap = schedule::AtCap::kHold;
  EXPECT_THAT(PlanChartSvg({PaperPlans()[0], {"hold", MakePlan(hold)}}), Not(HasSubstr("the same for all")));
}

TEST(PlanChart, GivesTheUpdatesAndEscapesTheNames) {
  const std::string svg = PlanChartSvg(PaperPlans());
  for (const char* text :
       {">80,000 updates<", ">34,751 updates<", ">28,891 updates<", ">grow &lt;B&gt; &amp; hold lr<"}) {
    EXPECT_THAT(svg, HasSubstr(text));
  }
}

TEST(PlanChart, MarksTheAxesWithTheValuesOfStepsAndElseWithRoundNumbers) {
  const std::string steps = PlanChartSvg(PaperPlans());
  for (const char* tick : {">0.1<", ">0.0008<", ">128<", ">16,000<", ">391<", ">3.13<"})
    EXPECT_THAT(steps, HasSubstr(tick));
  const std::string cosine = PlanChartSvg({{"cosine", MakePlan(CosineRequest())}});
  for (const char* tick : {">0.01<", ">2,000<", ">10<"}) EXPECT_THAT(cosine, HasSubstr(tick));
}

TEST(PlanChart, StaysOnThePageAlsoWhereTheRateIsZero) {
  const std::string svg = PlanChartSvg({{"cosine after a warm-up from 0", MakePlan(CosineRequest())}});
  const auto lines = LinesOf(svg, 0);
  ASSERT_EQ(lines.size(), 4);
  for (int panel = 0; panel < 3; ++panel)
    EXPECT_THAT(lines[panel], Each(testing::AllOf(testing::Ge(0), testing::Le(960))));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
  EXPECT_LT(svg.size(), 50'000);
}

}  // namespace
}  // namespace crescendo::report
