#include "crescendo/config/describe.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <filesystem>
#include <set>
#include <sstream>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "crescendo/config/fields.h"
#include "crescendo/config/load.h"
#include "crescendo/config/value_codec.h"

namespace crescendo::config {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const Options kDefaults;
const std::string kReference = "[reference]\nboundaries = ['60ep']\n";

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST(ToToml, ShowsWhatMeansSomethingAndNothingElse) {
  const std::string text = ToToml(LoadText(kReference, "x.toml", {"schedule.policy=decay"}));
  EXPECT_THAT(text,
              HasSubstr("[reference]\nglobal_batch = 128\nmomentum = 0.9\nmomentum_table = []\nlearning_rate = 0.1\n"
                        "shape = \"step\"\nboundaries = [\"60ep\"]\nfactor = 0.1\nwarmup = \"0\"\nwarmup_start = 0\n\n"
                        "[schedule]\nlength = \"200ep\"\npolicy = \"decay\"\nlearning_rate = \"reference\"\n"));
  EXPECT_THAT(text, HasSubstr("max_batch = \"N/10\"\nrule = "));
  EXPECT_THAT(text, Not(HasSubstr("at_cap")));
  EXPECT_THAT(text, Not(HasSubstr("train_file")));
}

// Draws a value other than the default often enough, within the bounds.
struct Draw {
  bool operator()(bool, const Description&) const { return *rc::gen::arbitrary<bool>(); }
  int64_t operator()(int64_t, const Description& d) const {
    return *rc::gen::inRange<int64_t>(static_cast<int64_t>(std::max(d.minimum, -100.0)),
                                      static_cast<int64_t>(std::min(d.maximum, 1e9)));
  }
  double operator()(double, const Description& d) const {
    const double maximum = std::min(d.maximum, 1e6);
    return d.minimum + (maximum - d.minimum) * *rc::gen::inRange(0, 1'000'000) / 1e6;
  }
  std::string operator()(const std::string& value, const Description& d) const {
    if (d.is_file) return "/data/" + *rc::gen::element<std::string>("a.csv", "b c.csv", "\"d\".csv");
    return *rc::gen::elementOf(std::vector<std::string>{value, "?", "", "\"quoted\"", "back\\slash", "two\nlines\n",
                                                        "tab\t", "gr\xc3\xbc\xc3\x9f", "'#="});
  }
  Position operator()(const Position&, const Description&) const {
    return {*rc::gen::inRange(1, 1'000'000) / 7.0,
            *rc::gen::element(Position::Unit::kEpochs, Position::Unit::kExamples)};
  }
  BatchLimit operator()(const BatchLimit&, const Description&) const {
    const auto kind =
        *rc::gen::element(BatchLimit::Kind::kNone, BatchLimit::Kind::kFraction, BatchLimit::Kind::kExamples);
    return {kind, kind == BatchLimit::Kind::kNone ? 0 : *rc::gen::inRange<int64_t>(1, 100'000)};
  }
  Column operator()(const Column&, const Description& d) const {
    if (*rc::gen::arbitrary<bool>()) return (*this)(int64_t{0}, d);
    return *rc::gen::element<std::string>("class", "7", "\"size\", in m");
  }
  template <class T>
  std::optional<T> operator()(const std::optional<T>&, const Description& d) const {
    if (*rc::gen::arbitrary<bool>()) return std::nullopt;
    return (*this)(T{}, d);
  }
  template <class T>
  std::vector<T> operator()(const std::vector<T>&, const Description& d) const {
    std::vector<T> list(*rc::gen::inRange<size_t>(0, 4));
    for (T& item : list) item = (*this)(item, d);
    return list;
  }
  std::pair<Position, double> operator()(const std::pair<Position, double>& pair, const Description& d) const {
    return {(*this)(pair.first, d), (*this)(pair.second, d)};
  }
  template <Choice E>
  E operator()(E, const Description&) const {
    std::vector<E> cases;
    for (const auto& choice : kEnumCases<E>) cases.push_back(choice.value);
    return *rc::gen::elementOf(cases);
  }
};

// Every value, alone: written, read, the same.
TEST(ToToml, EveryValueOfEveryOptionReadsBack) {
  EXPECT_TRUE(rc::check([] {
    Options options;
    VisitFields(options, [](const std::string& key, auto& value, const Description& description) {
      value = Draw()(value, description);
      const toml::table table = toml::parse("value = " + WriteField(value, description));
      auto read = value;
      read = {};
      RC_ASSERT(ReadField(*table.get("value"), read, description) == "");
      if (read != value) RC_FAIL(key + " = " + WriteField(value, description));
    });
  }));
}

// Drawn options as a whole, where they do not contradict each other.
TEST(ToToml, LoadsBackToTheSameOptions) {
  int loaded = 0;
  EXPECT_TRUE(rc::check([&loaded] {
    Options drawn;
    VisitFields(drawn, [](const std::string& key, auto& value, const Description& description) {
      const bool is_checked_across = key.starts_with("reference.") || key == "model.depth" ||
                                     key == "schedule.length" || key == "schedule.rule" || key.ends_with("momentum") ||
                                     key.ends_with("momentum_table") || key == "schedule.momentum_buffer" ||
                                     key == "run.worker_batch" || key == "run.reproducible" || key == "data.pad";
      if (!is_checked_across) value = Draw()(value, description);
    });
    if (drawn.data.name == DatasetName::kCsv) drawn.model.name = ModelName::kMlp;
    drawn.data.header = true;  // columns may have names
    drawn.data.pad = 3;
    drawn.data.test_examples += 1;
    drawn.data.train_file = "/data/train.csv";
    drawn.reference.boundaries = {{60, Position::Unit::kEpochs}};
    drawn.reference.momentum = drawn.optimizer.name == OptimizerName::kSgd ? 0 : 0.9;
    const Options options = LoadText(ToToml(drawn), "drawn.toml");
    RC_ASSERT(LoadText(ToToml(options), "again.toml") == options);
    RC_ASSERT(ToToml(options) == ToToml(drawn));
    ++loaded;
  }));
  EXPECT_GT(loaded, 50);
}

TEST(ToToml, EveryRecipeLoadsBackToTheSameOptions) {
  const std::filesystem::path recipes = "recipes";
  if (!std::filesystem::exists(recipes)) GTEST_SKIP() << "run in the repository's root, where the recipes are";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(recipes)) {
    if (entry.path().extension() != ".toml") continue;
    if (ReadFile(entry.path()).find("[variants.") != std::string::npos) continue;  // a study: read in study_test.cpp
    const Options options = LoadFile(entry.path());
    EXPECT_EQ(LoadText(ToToml(options), "resolved.toml"), options) << entry.path();
  }
}

TEST(AllKeys, AreDistinctAndNearEnoughToBeReached) {
  const std::vector<std::string> keys = AllKeys();
  EXPECT_EQ(std::set<std::string>(keys.begin(), keys.end()).size(), keys.size());
  EXPECT_EQ(keys.front(), "data.name");
  EXPECT_EQ(keys.back(), "checkpoint.keep_best");
}

// Whatever an option is set to by its text reaches its field, and its field only.
TEST(AllKeys, EachCanBeSetByItsName) {
  for (const std::string& key : AllKeys()) {
    const size_t dot = key.find('.');
    const std::string text = fmt::format("[{}]\n{} = {{}}", key.substr(0, dot), key.substr(dot + 1));
    try {
      LoadText(text, "x.toml");
      ADD_FAILURE() << key << " was not read";
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(),
                  HasSubstr("x.toml:2:" + std::to_string(key.size() - dot + 3) + ": " + key + " = {}: it must be "));
    }
  }
}

TEST(Description, OfEachOptionIsASentenceWithBoundsThatItsDefaultKeeps) {
  VisitFields(kDefaults, [](const std::string& key, const auto& value, const Description& description) {
    const std::string sentence = description.sentence;
    EXPECT_GT(sentence.size(), 8) << key;
    EXPECT_NE(sentence.back(), '.') << key;
    EXPECT_TRUE(std::islower(sentence.front()) || std::isdigit(sentence.front())) << key << ": " << sentence;
    for (const double number : NumbersIn(value)) {
      EXPECT_GE(number, description.minimum) << key;
      EXPECT_LE(number, description.maximum) << key;
    }
  });
}

TEST(Description, ConditionsNameValuesThatTheOtherOptionCanHave) {
  VisitFields(kDefaults, [](const std::string& key, const auto&, const Description& description) {
    if (*description.only_with == '\0') return;
    const Condition condition = ParseCondition(key, description.only_with);
    EXPECT_FALSE(condition.values.empty()) << key;
    bool found = false;
    VisitFields(kDefaults, [&](const std::string& other, const auto& value, const Description&) {
      if (other != condition.key) return;
      found = true;
      using Value = std::decay_t<decltype(value)>;
      if constexpr (std::is_enum_v<Value>) {
        for (const std::string& name : condition.values) EXPECT_TRUE(ParseEnum<Value>(name)) << key << ": " << name;
      }
    });
    EXPECT_TRUE(found) << key << " hangs on " << condition.key;
  });
}

TEST(DescribeAll, ShowsEveryOptionIn100Columns) {
  const std::string text = DescribeAll();
  for (const std::string& line : Lines(text)) EXPECT_LE(line.size(), 100) << line;
  for (const std::string& key : AllKeys())
    EXPECT_THAT(text, HasSubstr(fmt::format("\n{} = ", key.substr(key.find('.') + 1))));
  EXPECT_THAT(text, HasSubstr("at_cap = \"hybrid\"\n"
                              "    what happens once the batch may not grow further\n"
                              "    (only with schedule.policy = grow)\n"
                              "        hybrid  the rest of the noise drop goes to the learning rate\n"
                              "        hold    batch and learning rate stay: the noise stops falling\n"));
}

}  // namespace
}  // namespace crescendo::config
