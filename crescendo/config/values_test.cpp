#include "crescendo/config/values.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>

#include "crescendo/base/error.h"

namespace crescendo::config {
namespace {

constexpr auto kEpochs = Position::Unit::kEpochs;
constexpr auto kExamples = Position::Unit::kExamples;
constexpr auto kBatches = Position::Unit::kBatches;

TEST(Position, IsReadWithItsUnit) {
  EXPECT_EQ(ParsePosition("60ep"), (Position{60, kEpochs}));
  EXPECT_EQ(ParsePosition("204.8ep"), (Position{204.8, kEpochs}));
  EXPECT_EQ(ParsePosition("3000sp"), (Position{3000, kExamples}));
  EXPECT_EQ(ParsePosition("40ksp"), (Position{40'000, kExamples}));
  EXPECT_EQ(ParsePosition("10.24Msp"), (Position{10'240'000, kExamples}));
  EXPECT_EQ(ParsePosition("0.07Msp"), (Position{70'000, kExamples}));  // 0.07 * 1e6 would not be whole
  EXPECT_EQ(ParsePosition("1Gsp"), (Position{1e9, kExamples}));
  EXPECT_EQ(ParsePosition("500ba"), (Position{500, kBatches}));
  EXPECT_EQ(ParsePosition("0"), (Position{0, kEpochs}));
}

TEST(Position, IsNothingElse) {
  for (const char* text :
       {"",     "60",      "ep",    "sp",    "60 ep", "60EP",   "60epochs", "-1ep",    "+1ep",  "1e3ep", ".5ep",
        "5.ep", "1.2.3ep", "60msp", "infep", "nanep", "0x10sp", "60ep ",    "1,000sp", "0.5ba", "1kba",  "ba"}) {
    EXPECT_EQ(ParsePosition(text), std::nullopt) << text;
  }
}

TEST(Position, IsWrittenInTheShortestWay) {
  EXPECT_EQ(ToText(Position{60, kEpochs}), "60ep");
  EXPECT_EQ(ToText(Position{0.5, kEpochs}), "0.5ep");
  EXPECT_EQ(ToText(Position{1e-7, kEpochs}), "0.0000001ep");
  EXPECT_EQ(ToText(Position{1e21, kEpochs}), "1000000000000000000000ep");
  EXPECT_EQ(ToText(Position{0, kEpochs}), "0");
  EXPECT_EQ(ToText(Position{0, kExamples}), "0sp");
  EXPECT_EQ(ToText(Position{3000, kExamples}), "3ksp");
  EXPECT_EQ(ToText(Position{10'240'000, kExamples}), "10.24Msp");
  EXPECT_EQ(ToText(Position{1'281'167, kExamples}), "1281167sp");
  EXPECT_EQ(ToText(Position{5'000'000'000, kExamples}), "5Gsp");
  EXPECT_EQ(ToText(Position{80'000, kBatches}), "80000ba");
}

TEST(Position, ReadsBackFromItsText) {
  EXPECT_TRUE(rc::check([](double drawn, bool epochs) {
    RC_PRE(std::isfinite(drawn));
    const Position position{std::abs(drawn), epochs ? kEpochs : kExamples};
    RC_ASSERT(ParsePosition(ToText(position)) == position);
  }));
  EXPECT_TRUE(rc::check([](uint64_t examples) {
    for (const Position::Unit unit : {kExamples, kBatches}) {
      const Position position{static_cast<double>(examples), unit};
      RC_ASSERT(ParsePosition(ToText(position)) == position);
    }
  }));
}

TEST(Position, BecomesTheNearestExample) {
  EXPECT_EQ((Position{60, kEpochs}.Resolve({50'000})), schedule::Examples{3'000'000});
  EXPECT_EQ((Position{0.3, kEpochs}.Resolve({5})), schedule::Examples{2});  // 1.5
  EXPECT_EQ((Position{3000, kExamples}.Resolve({50'000})), schedule::Examples{3000});
  EXPECT_THROW((Position{1e15, kEpochs}.Resolve({50'000})), UserError);
}

// 10 examples in batches of 4: 0-3, 4-7, 8-11 where they are carried over; 0-3, 4-7, 8-9, 10-13 where each epoch begins
// a batch; 0-3, 4-7, 10-13 where its last two are left out.
TEST(Position, OfBatchesIsWhereTheReferencesUpdateBegins) {
  struct Row {
    schedule::EpochTail tail;
    std::vector<int64_t> begins;
  };
  for (const Row& row : {Row{schedule::EpochTail::kCarry, {0, 4, 8, 12, 16, 20, 24}},
                         Row{schedule::EpochTail::kShort, {0, 4, 8, 10, 14, 18, 20}},
                         Row{schedule::EpochTail::kDrop, {0, 4, 10, 14, 20, 24, 30}}}) {
    for (size_t batches = 0; batches < row.begins.size(); ++batches) {
      EXPECT_EQ((Position{static_cast<double>(batches), kBatches}.Resolve({10, 4, row.tail})).value(),
                row.begins[batches])
          << batches;
    }
  }
  EXPECT_EQ((Position{3, kBatches}.Resolve({10, 16, schedule::EpochTail::kDrop})).value(), 30);  // one update an epoch
}

TEST(BatchLimit, HasThreeForms) {
  EXPECT_EQ(ParseBatchLimit("none")->Resolve(50'000), 50'000);
  EXPECT_EQ(ParseBatchLimit("N/10")->Resolve(50'000), 5'000);
  EXPECT_EQ(ParseBatchLimit("N/10")->Resolve(1'999), 199);
  EXPECT_EQ(ParseBatchLimit("N/10")->Resolve(9), 1);
  EXPECT_EQ((BatchLimit{BatchLimit::Kind::kExamples, 5'120}).Resolve(50'000), 5'120);
  EXPECT_EQ((BatchLimit{BatchLimit::Kind::kExamples, 5'120}).Resolve(1'000), 1'000);  // never above N
  for (const char* text :
       {"", "N", "N/", "N/0", "N/-1", "N/2.5", "n/10", "None", "0", "-5", "5k", " 5", "99999999999999999999"}) {
    EXPECT_FALSE(ParseBatchLimit(text).has_value()) << text;
  }
}

TEST(BatchLimit, ReadsBackFromItsText) {
  for (const char* text : {"none", "N/10", "N/1"}) EXPECT_EQ(ToText(*ParseBatchLimit(text)), text);
}

}  // namespace
}  // namespace crescendo::config
