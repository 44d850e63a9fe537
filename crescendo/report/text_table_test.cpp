#include "crescendo/report/text_table.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace crescendo::report {
namespace {

TEST(TextTable, OnlyATerminalHasAWidth) {  // a terminal's: progress_test.cpp
  const int fd = open("/dev/null", O_WRONLY);
  EXPECT_EQ(TerminalWidth(fd), std::nullopt);
  close(fd);
}

TEST(TextTable, GroupsThousands) {
  EXPECT_EQ(WithThousands(0), "0");
  EXPECT_EQ(WithThousands(999), "999");
  EXPECT_EQ(WithThousands(1'000), "1,000");
  EXPECT_EQ(WithThousands(-123'456), "-123,456");
  EXPECT_EQ(WithThousands(10'240'000), "10,240,000");
}

TEST(TextTable, SaysHowManyTimesAsManyThereAre) {
  EXPECT_EQ(TimesText(28'891, 80'000, "updates"), "2.8 times fewer updates");
  EXPECT_EQ(TimesText(36'000, 15'000, "updates"), "2.4 times the updates");
  EXPECT_EQ(TimesText(15'000, 15'000, "updates"), "as many updates");
  EXPECT_EQ(TimesText(14'600, 15'000, "updates"), "1.027 times fewer updates");
  EXPECT_EQ(TimesText(15'002, 15'000, "updates"), "about as many updates");
  EXPECT_EQ(TimesText(100, 21'300, "updates"), "213 times fewer updates");
}

TEST(TextTable, AlignsByWhatATerminalShows) {
  TextTable table({{"name", Align::kLeft}, {"updates"}});
  table.AddRow({"grös", "1"});
  table.AddLine("...");
  table.AddRow({"b", "28,891"});
  EXPECT_EQ(table.Render(),
            "name  updates\n"
            "grös        1\n"
            "...\n"
            "b      28,891\n");
}

TEST(TextTable, WrapsAtSpacesAndIndentsWhatFollows) {
  EXPECT_EQ(Wrapped("one two three four", 9, 2), "one two\n  three\n  four\n");
  EXPECT_EQ(Wrapped("  a   kept spaces", 80, 4), "  a   kept spaces\n");
  EXPECT_EQ(Wrapped("averylongword b", 5, 0), "averylongword\nb\n");
}

}  // namespace
}  // namespace crescendo::report
