#include "crescendo/report/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace crescendo::report {
namespace {

using schedule::Examples;
using schedule::Updates;
using ::testing::HasSubstr;
using ::testing::Not;

NamedRun EndedRun(std::string name, int64_t updates, double accuracy, double seconds, RunEnd end = RunEnd::kFinished) {
  NamedRun run{std::move(name), {}};
  RunFooter footer;
  footer.end = end;
  footer.updates = Updates{updates};
  footer.examples = Examples{10'240'000};
  footer.train_seconds = seconds;
  footer.final_evaluation.updates = footer.updates;
  footer.final_evaluation.accuracy = accuracy;
  run.run.footer = footer;
  return run;
}

TEST(Comparison, ShowsEqualAccuracyAfterFewerUpdates) {
  EXPECT_EQ(ComparisonTable({EndedRun("decay", 80'000, 0.9432, 5120), EndedRun("hybrid", 34'751, 0.9428, 5000),
                             EndedRun("grow", 28'891, 0.9441, 4950.4)}),
            "name    updates  test accuracy  seconds  images/s\n"
            "decay    80,000         94.32%    5,120     2,000\n"
            "hybrid   34,751         94.28%    5,000     2,048\n"
            "grow     28,891         94.41%    4,950     2,069\n"
            "\n"
            "The final test accuracies lie within 0.13 points: 94.28% (hybrid) to 94.41% (grow).\n"
            "grow takes 28,891 updates where decay takes 80,000: 2.8 times fewer sequential steps.\n");
}

TEST(Comparison, LeavesRunsThatDidNotFinishOutOfItsSentences) {
  NamedRun killed{"killed", {}};
  const std::string table = ComparisonTable({EndedRun("a", 100, 0.5, 10), EndedRun("b", 50, 0.5, 10),
                                             EndedRun("c", 1, 0.1, 100, RunEnd::kInterrupted), killed});
  EXPECT_THAT(table, HasSubstr("\nkilled        -              -        -          -  no end yet\n"));
  EXPECT_THAT(table, HasSubstr("  interrupted\n"));
  EXPECT_THAT(table, HasSubstr("All 2 runs end at 50.00%."));
  EXPECT_THAT(table, HasSubstr("b takes 50 updates where a takes 100: 2.0 times fewer sequential steps."));
}

TEST(Comparison, OfWhatDoesNotCompareSaysWhyAndNoMore) {
  const std::string table =
      ComparisonTable({EndedRun("a", 100, 0.5, 10), EndedRun("b", 50, 0.9, 10)}, "No verdict: so.");
  EXPECT_THAT(table, HasSubstr("90.00%"));
  EXPECT_THAT(table, ::testing::EndsWith("\n\nNo verdict: so.\n"));
  EXPECT_THAT(table, Not(HasSubstr("points")));
}

TEST(Comparison, OfOneRunSaysNothingBesideIt) {
  EXPECT_THAT(ComparisonTable({EndedRun("a", 100, 0.5, 10)}), Not(HasSubstr("times")));
}

}  // namespace
}  // namespace crescendo::report
