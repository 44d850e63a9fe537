// Progress on a terminal.
#include <sstream>

#include "tests/cli/program.h"

namespace crescendo::cli {
namespace {

using support::ProcessResult;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class Terminal : public ProgramTest {};

TEST_F(Terminal, ShowsOneLineThatIsRewrittenWithinItsWidth) {
  if (!support::SystemGivesTerminals()) GTEST_SKIP() << "this system gives no terminal: mount /dev/pts";
  for (const int columns : {60, 200}) {
    support::ProcessOptions options;
    options.terminal_columns = columns;
    const ProcessResult result =
        Crescendo({"train", "small.toml", "--out", "run", "--force", "schedule.length=80ep"}, options);
    ASSERT_EQ(result.exit_code, 0) << result.errors;
    const std::vector<std::string> lines = Lines(result.errors);
    ASSERT_EQ(lines.size(), 3) << result.errors;  // what is trained, the line, how it ended
    std::istringstream shown(lines[1]);
    std::string view;
    std::getline(shown, view, '\r');
    EXPECT_EQ(view, "");
    int views = 0;
    std::string last;
    while (std::getline(shown, view, '\r') && !view.empty()) {
      ++views;
      EXPECT_THAT(view, EndsWith("\x1b[K"));
      last = view.substr(0, view.size() - 3);
      EXPECT_LT(static_cast<int>(last.size()), columns);
    }
    EXPECT_GE(views, 2);
    EXPECT_THAT(last, AllOf(StartsWith("100%"), HasSubstr("  0s left")));
    if (columns == 200) {
      EXPECT_THAT(last, AllOf(HasSubstr("phase 3/3"), HasSubstr("batch "), HasSubstr("lr 0."), HasSubstr("img/s"),
                              HasSubstr("80.00ep"), HasSubstr("19,200sp"), HasSubstr("test ")));
    }
    EXPECT_THAT(lines[2], StartsWith("finished after "));
  }
}

}  // namespace
}  // namespace crescendo::cli
