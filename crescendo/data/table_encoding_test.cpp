#include "crescendo/data/table_encoding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crescendo/data/test_support.h"

namespace crescendo::data {
namespace {

using ::testing::HasSubstr;

TableEncoding Example() {
  return {.header = {"size", "colour", "id", "class"},
          .missing = "?",
          .columns = {{.use = ColumnUse::kNumber, .mean = 0.1, .deviation = 2.5, .names = {}},
                      {.use = ColumnUse::kCategory, .names = {"blue", "\"red\""}},
                      {.use = ColumnUse::kIgnored, .names = {}},
                      {.use = ColumnUse::kLabel, .names = {"no", "yes"}}}};
}

TEST(TableEncoding, IsTheJsonOfItsPage) {
  EXPECT_EQ(ToJsonText(Example()),
            R"({"format_version":1,"text":"utf-8","missing":"?","header":["size","colour","id","class"],"columns":[)"
            R"({"use":"number","mean":0.1,"deviation":2.5},{"use":"category","categories":["blue","\"red\""]},)"
            R"({"use":"ignored"},{"use":"label","classes":["no","yes"]}]})");
}

TEST(TableEncoding, NumbersComeBackInTheSameBitsAndTextsInTheSameBytes) {
  TableEncoding encoding = Example();
  encoding.columns[0].mean = -1.0 / 3;
  for (const double deviation : {0.0, 0.1, 2.0 / 3, 5e-324, 1.7976931348623157e308}) {
    encoding.columns[0].deviation = deviation;
    EXPECT_EQ(ParseTableEncoding(ToJsonText(encoding)), encoding) << deviation;
  }
  encoding.columns[1].names = {"\xC3\xA9t\xC3\xA9", "\xE2\x82\xAC"};  // été, the euro sign: UTF-8
  EXPECT_THAT(ToJsonText(encoding), HasSubstr("\"text\":\"utf-8\""));
  EXPECT_EQ(ParseTableEncoding(ToJsonText(encoding)), encoding);
  encoding.columns[1].names = {"\x80\xBF\xC0\xFF", "\xC3\xA9t\xC3\xA9", "\xE9t\xE9"};  // été twice, once in Latin-1
  encoding.header[0] =
      "gr\xF6\xDF"
      "e";
  EXPECT_THAT(ToJsonText(encoding), HasSubstr("\"text\":\"latin-1\""));
  EXPECT_EQ(ParseTableEncoding(ToJsonText(encoding)), encoding);
}

TEST(TableEncoding, SaysWhatIsWrongWithAText) {
  struct Case {
    const char* from;
    const char* to;
    const char* message;
  };
  const std::string good = ToJsonText(Example());
  for (const Case& wrong :
       {Case{"\"format_version\":1", "\"format_version\":2", "format_version is 2"},
        Case{"\"missing\":\"?\",", "", "something is missing"},
        Case{"\"mean\":0.1", "\"mean\":null", "of another type"},
        Case{"\"deviation\":2.5", "\"deviation\":-1", "is no mean and deviation"},
        Case{"\"mean\":0.1", "\"mean\":1e999", "too large"},
        Case{"\"use\":\"number\"", "\"use\":\"words\"", "no use of columns \"words\""},
        Case{"\"use\":\"label\",\"classes\"", "\"use\":\"category\",\"categories\"", "0 of its columns are labels"},
        Case{"\"use\":\"category\",\"categories\"", "\"use\":\"label\",\"classes\"", "2 of its columns are labels"},
        Case{"utf-8", "utf-7", "its text is \"utf-7\""}, Case{"\"no\"", "[[[[\"no\"]]]]", "nested too deeply"},
        Case{"}", "", "it is no JSON"}}) {
    std::string text = good;
    const size_t at = text.find(wrong.from);
    ASSERT_NE(at, std::string::npos) << wrong.from;
    text.replace(at, std::string(wrong.from).size(), wrong.to);
    EXPECT_THAT(UserErrorOf([&] { ParseTableEncoding(text); }), HasSubstr(wrong.message)) << wrong.from;
  }
}

}  // namespace
}  // namespace crescendo::data
