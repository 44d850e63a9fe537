#include "crescendo/data/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lzma.h>

#include <algorithm>
#include <cmath>

#include "crescendo/data/test_support.h"

namespace crescendo::data {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

config::DataOptions Csv(const std::string& train_file, const std::string& test_file = "") {
  config::DataOptions options;
  options.name = config::DatasetName::kCsv;
  options.train_file = train_file;
  options.test_file = test_file;
  return options;
}

TEST(Csv, ScalesNumbersByTheTrainRowsAndSpreadsCategories) {
  const TemporaryFolder folder;
  config::DataOptions options = Csv(folder.Write("train.csv", "1, red, yes\n5, blue, no\n3, red, no\n"),
                                    folder.Write("test.csv", "7, green, yes\n"));
  options.categorical_columns = {1};
  const DatasetPair data = LoadDatasets(options, 1);
  const float unit = std::sqrt(3.0f / 2.0f);  // numbers 1 5 3: mean 3, deviation sqrt(8/3); so (5 - 3) / sqrt(8/3)
  EXPECT_THAT(Values<float>(data.train.inputs), ElementsAre(-unit, 0, 1, unit, 1, 0, 0, 0, 1));  // number, blue, red
  EXPECT_THAT(Values<float>(data.test.inputs), ElementsAre(2 * unit, 0, 0));  // green was never seen in training
  EXPECT_THAT(Values<int64_t>(data.train.labels), ElementsAre(1, 0, 0));      // no, yes
  EXPECT_THAT(Values<int64_t>(data.test.labels), ElementsAre(1));
  EXPECT_EQ(data.train.classes, 2);
  EXPECT_THAT(data.train.ExampleShape(), ElementsAre(3));
  EXPECT_TRUE(data.train.mean.empty());
  EXPECT_EQ(CountTrainExamples(options), 3);
}

TEST(Csv, AMissingNumberIsTheMeanAndAMissingNameANameOfItsOwn) {
  const TemporaryFolder folder;
  config::DataOptions options =
      Csv(folder.Write("train.csv", "0,?,1\n2,a,10\n?,a,9\n"), folder.Write("test.csv", "?,?,9\n"));
  options.categorical_columns = {1};
  const DatasetPair data = LoadDatasets(options, 1);
  EXPECT_THAT(Values<float>(data.train.inputs), ElementsAre(-1, 1, 0, 1, 0, 1, 0, 0, 1));
  EXPECT_THAT(Values<float>(data.test.inputs), ElementsAre(0, 1, 0));
  EXPECT_THAT(Values<int64_t>(data.train.labels), ElementsAre(0, 2, 1)) << "labels 1, 9, 10 are ordered as numbers";
}

TEST(Csv, WithoutATestFileTheLastRowsAreTheTestSet) {
  const TemporaryFolder folder;
  config::DataOptions options = Csv(folder.Write("train.csv", "0,a\n2,b\n7,a\n9,b\n4,a\n"));
  options.test_examples = 2;
  EXPECT_EQ(CountTrainExamples(options), 3);
  EXPECT_THAT(Values<int64_t>(LoadDatasets(options, 1).test.labels), ElementsAre(1, 0));
  options.train_examples = 2;
  const DatasetPair data = LoadDatasets(options, 1);
  EXPECT_THAT(Values<float>(data.train.inputs), ElementsAre(-1, 1)) << "scaled by the rows that are used";
  EXPECT_THAT(Values<float>(data.test.inputs), ElementsAre(8, 3));
  EXPECT_EQ(CountTrainExamples(options), 2);
}

TEST(Csv, ReadsQuotesHeadersCommentsBlankLinesAndForeignLineEnds) {
  const TemporaryFolder folder;
  config::DataOptions options = Csv(folder.Write(
      "train.csv",
      "\xEF\xBB\xBF# made by hand\r\nclass,\"size, in m\"\r\n\r\n\"a \"\"b\"\"\" , 1\r\n# more\r\nplain,\" 3\"\r\n"));
  options.header = true;
  options.comment = "#";
  options.label_column = 0;
  options.categorical_columns = {1};
  options.test_file = options.train_file;
  const DatasetPair data = LoadDatasets(options, 1);
  EXPECT_THAT(Values<int64_t>(data.train.labels), ElementsAre(0, 1));
  EXPECT_THAT(Values<float>(data.train.inputs), ElementsAre(0, 1, 1, 0))
      << "in quotes, a space counts: ' 3' is before '1'";
}

TEST(Csv, FindsColumnsByTheirNames) {
  const TemporaryFolder folder;
  config::DataOptions options = Csv(folder.Write("t.csv", "class,colour,size,id\na,red,1,7\nb,blue,3,8\n"));
  options.test_file = options.train_file;
  options.header = true;
  options.label_column = "class";
  options.categorical_columns = {"colour"};
  options.ignored_columns = {-1};
  const DatasetPair data = LoadDatasets(options, 1);
  EXPECT_THAT(Values<int64_t>(data.train.labels), ElementsAre(0, 1));
  EXPECT_THAT(Values<float>(data.train.inputs), ElementsAre(0, 1, -1, 1, 0, 1));  // blue, red, size
  options.ignored_columns = {"size", "idd"};
  EXPECT_THAT(UserErrorOf([&] { CountTrainExamples(options); }),
              AllOf(HasSubstr("data.ignored_columns names column \"idd\", but the columns of "),
                    HasSubstr("t.csv are class, colour, size, id; did you mean id?")));
  options.ignored_columns = {"colour"};
  EXPECT_THAT(UserErrorOf([&] { CountTrainExamples(options); }), HasSubstr("\"colour\", which has a use already"));
  options.train_file = folder.Write("t.csv", "class,colour,size\na,red,1,7\n");
  EXPECT_THAT(UserErrorOf([&] { CountTrainExamples(options); }), HasSubstr("has 3 names for 4 columns"));
}

TEST(Csv, SaysWhereATableIsWrong) {
  const TemporaryFolder folder;
  const auto error_of = [&](const std::string& content, int64_t label_column = -1) {
    config::DataOptions options = Csv(folder.Write("t.csv", content), folder.Write("test.csv", "1,a\n"));
    options.label_column = label_column;
    return UserErrorOf([&] { LoadDatasets(options, 1); });
  };
  EXPECT_THAT(error_of("1,a\n2,b\n3\n"),
              HasSubstr("t.csv, line 3: the row has 1 column, the first row (line 1) has 2"));
  EXPECT_THAT(error_of("1,a\n\nx,b\n"), HasSubstr("t.csv, line 3, column 1 (0, counted from 0): 'x' is not a number"));
  EXPECT_THAT(error_of("1,a\ninf,b\n"), AllOf(HasSubstr("'inf' is not a number"), Not(HasSubstr("data.header"))));
  EXPECT_THAT(error_of("size,class\n1,a\n"),
              AllOf(HasSubstr("'size' is not a number"), HasSubstr("data.header = true")));
  EXPECT_THAT(error_of("1,a\n2,\"b\n"), HasSubstr("line 2, column 2 (1, counted from 0): a quote is not closed"));
  EXPECT_THAT(error_of("1,a\n2,?\n"), HasSubstr("line 2, column 2 (1, counted from 0): the label is missing"));
  EXPECT_THAT(error_of("1,b\n2,c\n"), AllOf(HasSubstr("test.csv, line 1, column 2 ("),
                                            HasSubstr("the label 'a' is not one of the train set's")));
  EXPECT_THAT(error_of("1,a\n2,a\n"), HasSubstr("all labels"));
  EXPECT_THAT(error_of("1,a\n2,b\n", 2), HasSubstr("data.label_column names column 2"));
  config::DataOptions options = Csv(folder.Write("t.csv", "1,a\n2,b\n"), folder.Write("test.csv", "1,a\n"));
  options.categorical_columns = {9};
  EXPECT_THAT(UserErrorOf([&] { CountTrainExamples(options); }), HasSubstr("data.categorical_columns names column 9"));
  EXPECT_THAT(error_of("\n\n"), HasSubstr("holds no rows"));
  EXPECT_THAT(error_of("1\n2\n"), EndsWith("with a comma between them"));
  EXPECT_THAT(UserErrorOf([&] { LoadDatasets(Csv(folder.Write("t.csv", "1,a\n2,b\n")), 1); }),
              HasSubstr("data.test_file"));
  EXPECT_THAT(UserErrorOf([&] { LoadDatasets(Csv(folder.path() / "none.csv"), 1); }), HasSubstr("none.csv"));
}

TEST(Csv, SaysThatATableIsSeparatedByAnotherSign) {
  const TemporaryFolder folder;
  const auto error_of = [&](const std::string& content, bool header = false) {
    config::DataOptions options = Csv(folder.Write("t.csv", content));
    options.test_examples = 1;
    options.header = header;
    return UserErrorOf([&] { LoadDatasets(options, 1); });
  };
  const std::string semicolons = "t.csv: no commas in line 1; this looks like a table separated by ';', and";
  EXPECT_THAT(error_of("1;a\n2;b\n"), AllOf(HasSubstr(semicolons), HasSubstr("delimiter=';'")));
  EXPECT_THAT(error_of("1;2;a\n1,5;2;b\n"), HasSubstr(semicolons)) << "decimal commas";
  EXPECT_THAT(error_of("x;class\n1,5;a\n2,5;b\n", true), HasSubstr(semicolons)) << "in every row";
  EXPECT_THAT(error_of("1\ta\n2\tb\n"), AllOf(HasSubstr("separated by a tab"), HasSubstr("delimiter='\\t'")));
  EXPECT_THAT(error_of("\n1 a\n2 b\n"), AllOf(HasSubstr("in line 2"), HasSubstr("separated by a space")));
  // What stands above a table with commas.
  for (const char* title : {"| made by hand\n", "made; by hand\n", "made by hand\n"}) {
    EXPECT_THAT(error_of(std::string(title) + "1,2,a\n3,4,b\n"),
                AllOf(HasSubstr("line 2: the row has 3 columns, the first row (line 1) has 1"),
                      HasSubstr("data.comment"), Not(HasSubstr("separated"))))
        << title;
  }
}

TEST(Csv, TheNamesOfTheTestFileAreThoseOfTheTrainFile) {
  const TemporaryFolder folder;
  config::DataOptions options = Csv(folder.Write("train.csv", "a,b,class\n1,2,x\n3,4,y\n"));
  options.header = true;
  const auto use = [&](const std::string& content) { options.test_file = folder.Write("test.csv", content); };
  use("a,b,class\n2,1,x\n");
  EXPECT_EQ(LoadDatasets(options, 1).test.size(), 1);
  struct Case {
    const char* content;
    const char* message;
  };
  for (const Case& wrong :
       {Case{"b,a,class\n1,2,x\n", "column 1 (0, counted from 0) is \"b\" in its header, and \"a\""},
        Case{"a,c,class\n1,2,x\n", "column 2 (1, counted from 0) is \"c\" in its header, and \"b\""},
        Case{"1,2,x\n3,4,y\n", "is \"1\" in its header, and \"a\" there"},
        Case{"a,b\n1,2,x\n", "column 3 (2, counted from 0) is without a name in its header"}}) {
    use(wrong.content);
    const auto is_refused = AllOf(HasSubstr("test.csv are not those of "), HasSubstr("train.csv: column "),
                                  HasSubstr(wrong.message), HasSubstr("data.header = false"));
    EXPECT_THAT(UserErrorOf([&] { LoadDatasets(options, 1); }), is_refused) << wrong.content;
    EXPECT_THAT(UserErrorOf([&] { CountTrainExamples(options); }), is_refused) << wrong.content;
  }
  use("a,b,c,class\n1,2,3,x\n");
  EXPECT_THAT(UserErrorOf([&] { CountTrainExamples(options); }), HasSubstr("test.csv has 4 columns, but "));
}

TEST(Csv, ANameThatIsThereTwiceCannotBeUsed) {
  const TemporaryFolder folder;
  config::DataOptions options = Csv(folder.Write("t.csv", "a,b,a,class\n1,2,3,x\n3,5,7,y\n"));
  options.test_file = options.train_file;
  options.header = true;
  options.label_column = "class";
  options.ignored_columns = {"b", 2};
  EXPECT_EQ(CountTrainExamples(options), 2);
  options.ignored_columns = {"a"};
  EXPECT_THAT(UserErrorOf([&] { CountTrainExamples(options); }),
              AllOf(HasSubstr("data.ignored_columns names column \"a\""), HasSubstr("t.csv has that name 2 times"),
                    HasSubstr("columns 0, 2, counted from 0")));
}

TEST(Csv, WarnsOfAFirstRowThatLooksLikeAHeader) {
  const TemporaryFolder folder;
  config::DataOptions options;
  const auto warnings_of = [&](const std::string& content) {
    options.train_file = options.test_file = folder.Write("t.csv", content);
    options.name = config::DatasetName::kCsv;
    return LoadDatasets(options, 1).warnings;
  };
  const std::string rows = "red,round,a\nblue,round,b\nred,long,a\nblue,long,b\n";
  options.categorical_columns = {0, 1};
  EXPECT_THAT(warnings_of("colour,shape,kind\n" + rows),
              ElementsAre(AllOf(HasSubstr("the first row of "), HasSubstr("its label 'kind'"),
                                HasSubstr("data.header = true"))));
  EXPECT_THAT(warnings_of(rows), IsEmpty());
  EXPECT_THAT(warnings_of("red,square,c\n" + rows), IsEmpty()) << "a rare class, and a colour that occurs again";
  EXPECT_THAT(warnings_of("colour,shape,a\n" + rows), IsEmpty()) << "rare names, and a class that occurs again";
  options.header = true;
  EXPECT_THAT(warnings_of("colour,shape,kind\n" + rows), IsEmpty());
  options = {};
  EXPECT_THAT(warnings_of("2.5,c\n1,a\n0,b\n1,a\n2,b\n"), IsEmpty()) << "a number is no name";
  EXPECT_THAT(warnings_of("0,1,2\n5,7,0\n6,9,1\n5,8,1\n"), ElementsAre(HasSubstr("its label '2'")))
      << "but for the number of its column";
}

// What `crescendo eval` does with rows that the run has not seen.
TEST(Csv, TestRowsAloneAreMadeInputsAsTheTrainRowsWere) {
  const TemporaryFolder folder;
  config::DataOptions options = Csv(folder.Write("train.csv", "size,colour,class\n1,red,yes\n5,blue,no\n3,red,maybe\n"),
                                    folder.Write("test.csv", "size,colour,class\n7,green,yes\n4,red,no\n"));
  options.header = true;
  options.categorical_columns = {1};
  const DatasetPair data = LoadDatasets(options, 1);
  const auto test_rows = [&] { return LoadTestRows(options, ParseTableEncoding(ToJsonText(*data.table))).rows; };

  options.train_file = "nowhere.csv";
  EXPECT_EQ(Values<float>(test_rows().inputs), Values<float>(data.test.inputs)) << "the same bits";
  EXPECT_EQ(Values<int64_t>(test_rows().labels), Values<int64_t>(data.test.labels));
  EXPECT_EQ(test_rows().classes, 3);

  // Rows with other means, without blue, and of one class.
  options.test_file = folder.Write("new.csv", "size,colour,class\n5,red,yes.\n?,green,yes\n");
  EXPECT_THAT(Values<float>(test_rows().inputs), ElementsAre(std::sqrt(3.0f / 2.0f), 0, 1, 0, 0, 0));
  EXPECT_THAT(Values<int64_t>(test_rows().labels), ElementsAre(2, 2));  // maybe, no, yes
  EXPECT_EQ(test_rows().classes, 3);

  options.train_file = folder.Write("more.csv", "size,colour,class\n1,red,yes\n5,blue,no\n3,red,maybe\n");
  options.test_file.clear();
  EXPECT_THAT(UserErrorOf(test_rows), HasSubstr("more.csv is all there is: give a data.test_file"));
  options.test_examples = 2;
  EXPECT_THAT(Values<int64_t>(test_rows().labels), ElementsAre(1, 0)) << "the last two";
  options.test_examples = 4;
  EXPECT_THAT(UserErrorOf(test_rows), HasSubstr("give at most 3"));
  options.test_examples = 0;

  options.test_file = folder.Write("new.csv", "size,colour,class\n5,red,never\n");
  EXPECT_THAT(UserErrorOf(test_rows), HasSubstr("the label 'never' is not one of the train set's"));
  options.test_file = folder.Write("new.csv", "colour,size,class\nred,5,yes\n");
  EXPECT_THAT(UserErrorOf(test_rows), HasSubstr("new.csv are not those of the table that was trained on: column 1"));
  options.test_file = folder.Write("new.csv", "size,class\n5,yes\n");
  EXPECT_THAT(UserErrorOf(test_rows), HasSubstr("new.csv has 2 columns, but the table that was trained on has 3"));
  options.test_file = folder.Write("new.csv", "4,red,no\n");
  options.header = false;
  EXPECT_THAT(Values<int64_t>(test_rows().labels), ElementsAre(1)) << "a file without names";
}

// What `crescendo predict` does: the column of the label in the middle, and rows that have none.
TEST(Csv, RowsToPredictNeedNoLabel) {
  const TemporaryFolder folder;
  config::DataOptions options = Csv(folder.Write("train.csv", "size,class,colour\n1,yes,red\n5,no,blue\n3,yes,red\n"));
  options.header = true;
  options.label_column = "class";
  options.categorical_columns = {2};
  options.test_examples = 1;
  const TableEncoding encoding = *LoadDatasets(options, 1).table;
  options.test_examples = 0;
  const auto rows_of = [&](const std::string& text) {
    options.test_file = folder.Write("new.csv", text);
    const TestRows test = LoadTestRows(options, encoding, Labels::kOptional);
    EXPECT_THAT(test.warnings, options.header ? testing::SizeIs(0) : testing::SizeIs(1));
    return test.rows;
  };
  const Dataset labelled = rows_of("size,class,colour\n5,no,red\n1,,blue\n1,?,blue\n3,perhaps,red\n");
  EXPECT_THAT(Values<int64_t>(labelled.labels), ElementsAre(0, kNoLabel, kNoLabel, kNoLabel));
  const Dataset without = rows_of("size,colour\n5,red\n1,blue\n1,blue\n3,red\n");
  EXPECT_EQ(Values<float>(without.inputs), Values<float>(labelled.inputs));
  EXPECT_THAT(Values<int64_t>(without.labels), ElementsAre(kNoLabel, kNoLabel, kNoLabel, kNoLabel));
  EXPECT_EQ(without.classes, 2);
  EXPECT_THAT(UserErrorOf([&] { rows_of("colour,size\nred,5\n"); }), HasSubstr("column 1 (0, counted from 0)"));
  EXPECT_THAT(UserErrorOf([&] { rows_of("size,class\n5,no\n"); }),
              HasSubstr("column 2 (1, counted from 0) is \"class\""));
  EXPECT_THAT(UserErrorOf([&] { LoadTestRows(options, encoding); }), HasSubstr("new.csv has 2 columns, but the table"));
  EXPECT_THAT(
      UserErrorOf([&] { rows_of("size,colour\n1e39,red\n"); }),
      HasSubstr("line 2, column 1 (0, counted from 0): '1e39' is too large beside the train set's numbers, whose "
                "mean is 3 and deviation 2"));
  options.header = false;  // so the names cannot tell that it is the label's column which is missing
  EXPECT_EQ(Values<float>(rows_of("5,red\n1,blue\n1,blue\n3,red\n").inputs), Values<float>(labelled.inputs));
}

TEST(Csv, NumbersThatHaveNoMeanAreAnError) {
  const TemporaryFolder folder;
  EXPECT_THAT(UserErrorOf([&] {
                LoadDatasets(Csv(folder.Write("t.csv", "1,1e300,a\n2,-1e300,b\n"), folder.path() / "t.csv"), 1);
              }),
              AllOf(HasSubstr("t.csv, line 1, column 2 ("), HasSubstr("too large")));
}

TEST(Csv, AnUnpackedFileThatIsCutShortIsAnErrorWithThePlace) {
  const TemporaryFolder folder;
  std::ifstream file("recipes/data/letter-recognition/letter-recognition.data.xz", std::ios::binary);
  std::string packed((std::istreambuf_iterator<char>(file)), {});
  ASSERT_GT(packed.size(), 50'000);
  packed.resize(50'000);
  config::DataOptions options = Csv(folder.Write("cut.data.xz", packed));
  options.test_examples = 1;
  EXPECT_THAT(UserErrorOf([&] { LoadDatasets(options, 1); }), HasSubstr("cut short at byte 50000"));
  packed[1'000] ^= 1;
  folder.Write("cut.data.xz", packed);
  EXPECT_THAT(UserErrorOf([&] { LoadDatasets(options, 1); }), HasSubstr("damaged"));
}

// Behind the file's header of 12 bytes stands that of a block: its size in words of 4 bytes less one, and at its end
// the CRC of the rest. In between, LZMA2 is 0x21, then 1 byte that says how large the dictionary is (37: 1.5 GiB).
TEST(Csv, AnXzFileThatWantsTooMuchMemoryIsRefused) {
  const std::string table = "1,a\n2,b\n3,a\n";
  std::string packed(1'000, '\0');
  size_t size = 0;
  ASSERT_EQ(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, nullptr, reinterpret_cast<const uint8_t*>(table.data()),
                                    table.size(), reinterpret_cast<uint8_t*>(packed.data()), &size, packed.size()),
            LZMA_OK);
  packed.resize(size);
  const TemporaryFolder folder;
  config::DataOptions options = Csv(folder.Write("table.csv.xz", packed));
  options.test_examples = 1;
  EXPECT_EQ(LoadDatasets(options, 1).train.labels.size(0), 2);

  const size_t before_crc = 4 * static_cast<size_t>(packed[12]);
  packed[packed.find("\x21\x01", 12) + 2] = 37;
  const uint32_t crc = lzma_crc32(reinterpret_cast<const uint8_t*>(packed.data()) + 12, before_crc, 0);
  for (size_t i = 0; i < 4; ++i) packed[12 + before_crc + i] = static_cast<char>(crc >> (8 * i));
  folder.Write("table.csv.xz", packed);
  EXPECT_THAT(UserErrorOf([&] { LoadDatasets(options, 1); }),
              EndsWith("table.csv.xz cannot be unpacked: that takes 1537 MiB of memory, and at most 256 are given to "
                       "it; `xz -9` makes files that take 65"));
}

TEST(Csv, LetterRecognitionLoadsFromTheRepository) {
  config::DataOptions options = Csv("recipes/data/letter-recognition/letter-recognition.data.xz");
  options.label_column = 0;
  options.test_examples = 4'000;
  EXPECT_EQ(CountTrainExamples(options), 16'000);
  const DatasetPair data = LoadDatasets(options, 1);
  EXPECT_THAT(data.train.inputs.sizes().vec(), ElementsAre(16'000, 16));
  EXPECT_THAT(data.test.inputs.sizes().vec(), ElementsAre(4'000, 16));
  EXPECT_EQ(data.train.classes, 26);
  const std::vector<int64_t> labels = Values<int64_t>(data.train.labels);
  EXPECT_THAT(std::vector<int64_t>(labels.begin(), labels.begin() + 4),
              ElementsAre('T' - 'A', 'I' - 'A', 'D' - 'A', 'N' - 'A'));
}

TEST(Csv, AdultLoadsFromTheRepository) {
  config::DataOptions options = Csv("recipes/data/adult/adult.data.xz", "recipes/data/adult/adult.test.xz");
  options.categorical_columns = {1, 3, 5, 6, 7, 8, 9, 13};
  EXPECT_THAT(UserErrorOf([&] { LoadDatasets(options, 1); }), HasSubstr("data.comment"));
  options.comment = "|";
  EXPECT_EQ(CountTrainExamples(options), 32'561);
  const DatasetPair data = LoadDatasets(options, 1);
  // 6 numbers; 9 + 16 + 7 + 15 + 6 + 5 + 2 + 42 names, "?" among them.
  EXPECT_THAT(data.train.inputs.sizes().vec(), ElementsAre(32'561, 108));
  EXPECT_THAT(data.test.inputs.sizes().vec(), ElementsAre(16'281, 108));
  const auto rich = [](const Dataset& set) {
    const std::vector<int64_t> labels = Values<int64_t>(set.labels);
    return std::count(labels.begin(), labels.end(), 1);
  };
  EXPECT_EQ(rich(data.train), 7'841);  // the counts in adult.names: 24.08 % and 23.62 %
  EXPECT_EQ(rich(data.test), 3'846);
}

}  // namespace
}  // namespace crescendo::data
