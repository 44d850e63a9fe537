#include "crescendo/config/load.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "crescendo/config/fields.h"
#include "tests/support/temporary_folder.h"

namespace crescendo::config {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// The least that a config must say.
const std::string kReference = "[reference]\nboundaries = ['60ep']\n";

std::string Refusal(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    LoadText(text, "x.toml", overrides);
  } catch (const UserError& error) {
    return error.what();
  }
  return "(accepted)";
}

TEST(Load, ReadsEveryTypeOfValue) {
  const Options options = LoadText(R"(
    [data]
    name = "csv"
    train_file = "/data/train.csv"
    test_examples = 100
    header = true
    label_column = "class"
    ignored_columns = [0, "id"]
    [model]
    name = "mlp"
    hidden = [64, 32]
    [optimizer]
    name = "adam"
    [reference]
    shape = "table"
    table = [["0ep", 0.1], ["10.24Msp", 1]]
    warmup = 0
    [schedule]
    length = "40Msp"
    momentum = 0.9
    max_batch = "N/20"
    rule = "seesaw"
    [run]
    micro_batch = "auto"
    threads = 2
  )",
                                   "x.toml");
  EXPECT_EQ(options.data.name, DatasetName::kCsv);
  EXPECT_EQ(options.data.train_file, "/data/train.csv");
  EXPECT_EQ(options.data.test_examples, 100);
  EXPECT_TRUE(options.data.header);
  EXPECT_EQ(options.data.label_column, Column("class"));
  EXPECT_EQ(options.data.ignored_columns, (std::vector<Column>{0, "id"}));
  EXPECT_EQ(options.model.hidden, (std::vector<int64_t>{64, 32}));
  EXPECT_EQ(options.reference.table,
            (PositionTable{{{0, Position::Unit::kEpochs}, 0.1}, {{10'240'000, Position::Unit::kExamples}, 1.0}}));
  EXPECT_EQ(options.reference.warmup, (Position{0, Position::Unit::kEpochs}));
  EXPECT_EQ(options.schedule.length, (Position{40'000'000, Position::Unit::kExamples}));
  EXPECT_EQ(options.schedule.momentum, 0.9);
  EXPECT_EQ(options.schedule.learning_rate, std::nullopt);
  EXPECT_EQ(options.schedule.max_batch, (BatchLimit{BatchLimit::Kind::kFraction, 20}));
  EXPECT_EQ(options.schedule.rule, schedule::ScalingRule::kSeesaw);
  EXPECT_EQ(options.run.micro_batch, std::nullopt);
  EXPECT_EQ(options.run.threads, 2);
}

TEST(Load, LeavesDefaultsWhereNothingIsSaid) {
  Options expected;
  expected.reference.boundaries = {{60, Position::Unit::kEpochs}};
  EXPECT_EQ(LoadText(kReference, "x.toml"), expected);
}

TEST(Load, NamesThePlaceAndWhatWasMeantForUnknownNames) {
  EXPECT_EQ(Refusal("[schedule]\n  max_bach = 5"),
            "x.toml:2:3: schedule.max_bach is not an option; did you mean schedule.max_batch?");
  EXPECT_EQ(Refusal("schedule.depth = 5"), "x.toml:1:10: schedule.depth is not an option; did you mean model.depth?");
  EXPECT_EQ(Refusal("[optimizer]\nmomentum = 0.9"),
            "x.toml:2:1: optimizer.momentum is not an option; did you mean reference.momentum or schedule.momentum?");
  EXPECT_EQ(
      Refusal("[run]\nlerning_rate = 1"),
      "x.toml:2:1: run.lerning_rate is not an option; did you mean reference.learning_rate or schedule.learning_rate?");
  EXPECT_EQ(Refusal("[model]\nzzz = 1"),
            "x.toml:2:1: model.zzz is not an option; [model] has name, depth, width, hidden, batch_norm, ghost_batch, "
            "norm_momentum, norm_epsilon");
  EXPECT_EQ(Refusal("[schedule]\nlr = 1"),
            "x.toml:2:1: schedule.lr is not an option; did you mean schedule.learning_rate?");
  EXPECT_EQ(Refusal("[run]\nepochs = 90"), "x.toml:2:1: run.epochs is not an option; did you mean schedule.length?");
  EXPECT_EQ(Refusal("max_batch = 5"), "x.toml:1:1: max_batch is not an option; did you mean schedule.max_batch?");
  EXPECT_EQ(Refusal("[shedule]\nlength = '1ep'"), "x.toml:1:2: shedule is not a section; did you mean schedule?");
  EXPECT_EQ(Refusal("[loader]"),
            "x.toml:1:2: loader is not a section; the sections are data, model, optimizer, reference, schedule, run, "
            "checkpoint");
  EXPECT_EQ(Refusal("[run]\nbase = 'a.toml'"),
            "x.toml:2:1: run.base is not an option; base stands above the first section of a file");
  EXPECT_EQ(Refusal("schedule = 5"),
            "x.toml:1:1: schedule is a section, not an option: write [schedule] and its options below, or schedule.KEY "
            "= VALUE");
  EXPECT_EQ(Refusal("[run]\nzzzz = 1\naaaa = 2").substr(0, 11),
            "x.toml:2:1:");  // the first in the file, not in the alphabet
}

TEST(Load, SaysWhatWouldWorkForValuesOfAWrongType) {
  EXPECT_EQ(Refusal("[schedule]\npolicy = 'gro'"),
            "x.toml:2:10: schedule.policy = \"gro\": it must be one of decay, grow; did you mean grow?");
  EXPECT_EQ(Refusal("[reference]\nglobal_batch = 12.5"),
            "x.toml:2:16: reference.global_batch = 12.5: it must be a whole number");
  EXPECT_EQ(Refusal("[reference]\nlearning_rate = '0.1'"),
            "x.toml:2:17: reference.learning_rate = \"0.1\": it must be a number");
  EXPECT_EQ(Refusal("[reference]\nlearning_rate = nan"),
            "x.toml:2:17: reference.learning_rate = nan: it must be a number");
  EXPECT_EQ(Refusal("[data]\nflip = 1"), "x.toml:2:8: data.flip = 1: it must be true or false");
  EXPECT_EQ(Refusal("[data]\nfolder = 3"), "x.toml:2:10: data.folder = 3: it must be text, in quotes");
  EXPECT_EQ(Refusal("[schedule]\nlength = 200"),
            "x.toml:2:10: schedule.length = 200: a position needs a unit: \"200ep\" (epochs), \"200sp\" "
            "(samples) or \"200ba\" (batches of the reference)");
  EXPECT_THAT(Refusal("[schedule]\nlength = 1.5"), HasSubstr("\"1.5ep\" (epochs) or \"1.5sp\" (samples)"));
  EXPECT_EQ(Refusal("[schedule]\nlength = '200'"),
            "x.toml:2:10: schedule.length = \"200\": it must be a position: epochs such as \"60ep\", samples such as "
            "\"3000sp\", \"40ksp\", \"10.24Msp\", or batches of the reference such as \"500ba\"");
  EXPECT_EQ(Refusal("[schedule]\nmax_batch = 'N/0'"),
            "x.toml:2:13: schedule.max_batch = \"N/0\": it must be a whole number of examples such as 5120, or a share "
            "of the "
            "training set such as \"N/10\", or \"none\"");
  EXPECT_EQ(
      Refusal("[schedule]\nmax_batch = '5120'"),
      "x.toml:2:13: schedule.max_batch = \"5120\": it must be a whole number of examples such as 5120, or a share "
      "of the training set such as \"N/10\", or \"none\"");
  EXPECT_EQ(Refusal("[model]\nname = 'wide_resnt'"),
            "x.toml:2:8: model.name = \"wide_resnt\": it must be one of mlp, wide_resnet; did you mean wide_resnet?");
  EXPECT_EQ(
      Refusal("[data]\nlabel_column = 1.5"),
      "x.toml:2:16: data.label_column = 1.5: it must be the number of a column, from 0, or its name in the table's "
      "header");
  EXPECT_EQ(Refusal("[data]\nignored_columns = 'id'"),
            "x.toml:2:19: data.ignored_columns = \"id\": it must be a list such as [0, 3] or [\"colour\", \"size\"]");
  EXPECT_EQ(Refusal("[model]\nhidden = 64"), "x.toml:2:10: model.hidden = 64: it must be a list such as [128, 64]");
  EXPECT_EQ(Refusal("[reference]\nboundaries = ['60ep', 120]"),
            "x.toml:2:14: reference.boundaries = [\"60ep\", 120]: item 2, 120: a position needs a unit: \"120ep\" "
            "(epochs), \"120sp\" (samples) or \"120ba\" (batches of the reference)");
  EXPECT_EQ(Refusal("[reference]\ntable = [['0ep', 0.1, 3]]"),
            "x.toml:2:9: reference.table = [[\"0ep\", 0.1, 3]]: item 1, [\"0ep\", 0.1, 3]: it must be a pair such as "
            "[\"60ep\", 0.02]");
  EXPECT_EQ(Refusal("[run]\nmicro_batch = 'all'"),
            "x.toml:2:15: run.micro_batch = \"all\": it must be a whole number, or \"auto\"");
}

TEST(Load, GivesTheBounds) {
  EXPECT_EQ(Refusal("[reference]\nglobal_batch = 0"),
            "x.toml:2:16: reference.global_batch = 0: it must be from 1 to 1e9");
  EXPECT_EQ(Refusal("[data]\ntrain_examples = -5"), "x.toml:2:18: data.train_examples = -5: it must be at least 0");
  EXPECT_EQ(Refusal("[model]\nname = 'mlp'\nhidden = [64, 0]"),
            "x.toml:3:10: model.hidden = [64, 0]: item 2, 0: it must be from 1 to 1e6");
  EXPECT_EQ(Refusal("[schedule]\nmomentum = 1"), "x.toml:2:12: schedule.momentum = 1: it must be from 0 to 0.99999");
  EXPECT_EQ(Refusal("[schedule]\nmax_batch = 0"), "x.toml:2:13: schedule.max_batch = 0: it must be at least 1");
  EXPECT_EQ(Refusal("[reference]\nmomentum_table = [['0ep', 0.9], ['1ep', 1.5]]"),
            "x.toml:2:18: reference.momentum_table = [[\"0ep\", 0.9], [\"1ep\", 1.5]]: item 2, 1.5: it must be from 0 "
            "to 0.99999");
}

TEST(Load, RefusesWhatHasNoMeaningBesideTheOtherValues) {
  EXPECT_EQ(Refusal("[reference]\nshape = 'cosine'\nboundaries = ['60ep']"),
            "x.toml:3:1: reference.boundaries means something only with reference.shape = step, but reference.shape = "
            "cosine");
  EXPECT_EQ(
      Refusal(kReference + "[schedule]\ngrowth_factor = 4"),
      "x.toml:4:1: schedule.growth_factor means something only with schedule.rounding = power, but schedule.rounding = "
      "nearest (its default)");
  // rounding has itself no meaning here: that is said first, for both.
  EXPECT_EQ(Refusal(kReference + "[schedule]\npolicy = 'decay'\nrounding = 'power'\ngrowth_factor = 4"),
            "x.toml:6:1: schedule.growth_factor means something only with schedule.policy = grow, but schedule.policy "
            "= decay");
  EXPECT_EQ(
      Refusal(kReference, {"reference.period=1ep"}),
      "command line: reference.period=1ep: reference.period means something only with reference.shape = exponential or "
      "restarts, but reference.shape = step (its default)");
}

// batch_norm means nothing to a wide ResNet, which always has it.
TEST(Load, AnOptionThatHangsOnOneWithoutMeaningSeesItsDefault) {
  EXPECT_EQ(LoadText(kReference + "[model]\nnorm_momentum = 0.2", "x.toml").model.norm_momentum, 0.2);
  const std::string mlp = kReference + "[model]\nname = 'mlp'\nnorm_momentum = 0.2\n";
  EXPECT_EQ(LoadText(mlp, "x.toml").model.norm_momentum, 0.2);
  EXPECT_EQ(LoadText(mlp, "x.toml", {"model.name=wide_resnet"}).model.norm_momentum, 0.2);
  EXPECT_EQ(LoadText(mlp, "x.toml", {"model.batch_norm=false"}).model.norm_momentum, 0.1);
  EXPECT_EQ(Refusal(mlp + "batch_norm = false"),
            "x.toml:5:1: model.norm_momentum means something only with model.batch_norm = true, but model.batch_norm = "
            "false");
}

TEST(Load, ALaterLayerRetiresWhatItLeavesWithoutMeaning) {
  const std::string grow =
      kReference + "[schedule]\npolicy = 'grow'\nrounding = 'power'\ngrowth_factor = 4\nat_cap = 'hold'\n";
  EXPECT_EQ(LoadText(grow, "x.toml", {"schedule.policy=decay"}),
            LoadText(kReference, "x.toml", {"schedule.policy=decay"}));
  EXPECT_EQ(LoadText(grow, "x.toml", {"schedule.rounding=nearest"}).schedule.growth_factor, 2);
  EXPECT_EQ(Refusal(grow, {"schedule.policy=decay", "schedule.at_cap=hold"}),
            "command line: schedule.at_cap=hold: schedule.at_cap means something only with schedule.policy = grow, but "
            "schedule.policy = decay");
}

TEST(Load, GivesThePlaceOfBrokenToml) {
  EXPECT_THAT(Refusal("[schedule]\nlength = \n"), HasSubstr("x.toml:2:"));
  EXPECT_EQ(Refusal("[schedule]\nlength = 200ep  # long"),
            "x.toml:2:14: Error while parsing floating-point: expected decimal digit, saw 'p'; did you mean \"200ep\", "
            "in quotes?");
  EXPECT_EQ(
      Refusal("[schedule]\npolicy = grow"),
      "x.toml:2:10: Error while parsing value: could not determine value type; did you mean \"grow\", in quotes?");
  EXPECT_THAT(Refusal("[schedule]\nlength = '1ep'\nlength = '2ep'"), HasSubstr("x.toml:3:"));
}

// A text made to break the program: each part of a key takes the parser's stack, as does each letter a backtracking
// matcher's.
TEST(Load, RefusesTextsThatNoConfigHas) {
  const std::string letters(50'000, 'a');
  EXPECT_EQ(Refusal("[schedule]\nlength = " + letters),
            "x.toml:2:10: Error while parsing value: could not determine value type");
  EXPECT_EQ(Refusal("[schedule]\n" + letters).substr(0, 15), "x.toml:2:50001:");
  EXPECT_EQ(Refusal(letters + " = 1").substr(0, 90), "x.toml:1:1: " + std::string(57, 'a') + "... is not an option;");

  const auto key = [](int parts, const std::string& part) {
    std::string text = part;
    for (int i = 1; i < parts; ++i) text += "." + part;
    return text;
  };
  const std::string too_long = ": this key has more than 32 parts; that of an option has two, as in schedule.length";
  EXPECT_EQ(Refusal("[run]\n" + key(60'000, "a") + " = 1"), "x.toml:2:64" + too_long);
  EXPECT_EQ(Refusal("[" + key(60'000, "a") + "]"), "x.toml:1:65" + too_long);
  EXPECT_EQ(Refusal("[[" + key(60'000, "a") + "]]"), "x.toml:1:66" + too_long);
  EXPECT_EQ(Refusal("a = [\n{" + key(33, "'='") + " = 1}]"), "x.toml:2:129" + too_long);
  EXPECT_EQ(Refusal("a = '''\n'\"'''\n" + key(33, "b") + " = 1"), "x.toml:3:64" + too_long);
  EXPECT_EQ(Refusal(key(32, "a") + " = 1"),
            "x.toml:1:1: a is not a section; the sections are data, model, optimizer, reference, schedule, run, "
            "checkpoint");
  EXPECT_THAT(Refusal(kReference, {"run.seed={" + key(60'000, "a") + "=1}"}), HasSubstr("it must be a whole number"));

  EXPECT_EQ(Refusal(kReference + std::string(1 << 20, '\n')),
            fmt::format("x.toml is no config: it has {} bytes, and a config has at most 1048576",
                        kReference.size() + (1 << 20)));
}

// Dots in strings, in comments and in numbers are no parts of a key.
TEST(Load, TakesLongListsAndManyDots) {
  std::string table = "'0ep', 0.1";
  for (int i = 1; i < 400; ++i) table += fmt::format("], ['{}ep', {}", 0.25 * i, 0.25 * i);
  const std::string dots(200, '.');
  const Options options = LoadText("# " + dots + "\n[reference]\nshape = 'table'\ntable = [[" + table + "]]  # " +
                                       dots + "\n[data]\nfolder = \"\\\"" + dots + "\"\n",
                                   "x.toml");
  EXPECT_EQ(options.reference.table.size(), 400);
  EXPECT_EQ(options.data.folder, '"' + dots);
}

TEST(Load, OverridesAreTomlOrText) {
  const Options options =
      LoadText(kReference, "x.toml",
               {"schedule.max_batch=5120", "schedule.max_batch=none", "schedule.policy=decay", "model.name=mlp",
                "model.hidden=[64,64]", "schedule.length=90ep", "reference.boundaries=[\"30ep\", \"60ep\"]",
                "data.flip=false", "run.threads=auto", "optimizer.weight_decay=5e-4"});
  EXPECT_EQ(options.schedule.max_batch.kind, BatchLimit::Kind::kNone);
  EXPECT_EQ(options.schedule.policy, schedule::Policy::kDecay);
  EXPECT_EQ(options.model.hidden, (std::vector<int64_t>{64, 64}));
  EXPECT_EQ(options.schedule.length, (Position{90, Position::Unit::kEpochs}));
  EXPECT_EQ(options.reference.boundaries.size(), 2);
  EXPECT_FALSE(options.data.flip);
  EXPECT_EQ(options.run.threads, std::nullopt);
  EXPECT_EQ(options.optimizer.weight_decay, 5e-4);
  // Text keeps the form it was typed in, whatever it would be as TOML.
  const std::vector<std::string> csv = {"data.name=csv", "data.train_file=a.csv", "data.test_examples=1",
                                        "model.name=mlp"};
  for (const char* missing : {"?", "0", "007", "", "#", "nan", "a = b", "1\nx = 2"}) {
    auto overrides = csv;
    overrides.push_back(fmt::format("data.missing={}", missing));
    EXPECT_EQ(LoadText(kReference, "x.toml", overrides).data.missing, missing);
  }
}

TEST(Load, OverridesAreRefusedWithTheirText) {
  EXPECT_EQ(
      Refusal(kReference, {"schedule.max_bach=5120"}),
      "command line: schedule.max_bach=5120: schedule.max_bach is not an option; did you mean schedule.max_batch?");
  EXPECT_EQ(Refusal(kReference, {"max_batch=5120"}),
            "command line: max_batch=5120: max_batch is not an option; did you mean schedule.max_batch?");
  EXPECT_EQ(Refusal(kReference, {"schedule.max_batch"}),
            "command line: schedule.max_batch: an option is set by section.key=value without spaces, such as "
            "schedule.max_batch=5120");
  EXPECT_EQ(Refusal(kReference, {"schedule.length=60"}),
            "command line: schedule.length=60: a position needs a unit: \"60ep\" (epochs), \"60sp\" (samples) or "
            "\"60ba\" (batches of the reference)");
  EXPECT_EQ(Refusal(kReference, {"reference.momentum=2"}),
            "command line: reference.momentum=2: it must be from 0 to 0.99999");
  EXPECT_EQ(Refusal(kReference, {"run.device=gpu"}),
            "command line: run.device=gpu: it must be one of auto, cpu, cuda; did you mean cuda?");
  EXPECT_EQ(Refusal(kReference, {"base=a.toml"}),
            "command line: base=a.toml: a base is stated in a config file, not here");
  EXPECT_EQ(Refusal(kReference, {"a.b.c=1"}).substr(0, 46), "command line: a.b.c=1: a is not a section; the");
}

TEST(Load, TheDefaultMomentumOfPlainSgdIsZero) {
  EXPECT_EQ(LoadText(kReference, "x.toml", {"optimizer.name=sgd"}).reference.momentum, 0);
  EXPECT_EQ(LoadText(kReference, "x.toml", {"optimizer.name=nesterov"}).reference.momentum, 0.9);
}

TEST(Load, DigitsAndClothesAreNotMirroredUnlessThatIsStated) {
  for (const char* name : {"mnist", "fashion_mnist"}) {
    const std::string data = fmt::format("data.name={}", name);
    EXPECT_FALSE(LoadText(kReference, "x.toml", {data}).data.flip);
    EXPECT_TRUE(LoadText(kReference, "x.toml", {data, "data.flip=true"}).data.flip);
  }
  EXPECT_TRUE(LoadText(kReference, "x.toml", {"data.name=cifar100"}).data.flip);
}

TEST(Load, StacksTheFileOnItsBase) {
  const support::TemporaryFolder folder;
  folder.Write("base.toml", kReference + "global_batch = 64\nlearning_rate = 0.5\n[schedule]\nat_cap = 'hold'");
  folder.Write("sub/middle.toml", "base = '../base.toml'\n[reference]\nglobal_batch = 256");
  const fs::path top = folder.Write("top.toml", "base = 'sub/middle.toml'\n[schedule]\npolicy = 'decay'");
  const Options options = LoadFile(top);
  EXPECT_EQ(options.reference.global_batch, 256);
  EXPECT_EQ(options.reference.learning_rate, 0.5);
  EXPECT_EQ(options.schedule.policy, schedule::Policy::kDecay);
  EXPECT_EQ(options.schedule.at_cap, schedule::AtCap::kHybrid);  // retired: of no meaning under decay
}

TEST(Load, FindsMistakesInTheBaseEvenWhereTheyAreReplaced) {
  const support::TemporaryFolder folder;
  const fs::path base = folder.Write("base.toml", "[reference]\nglobal_batch = 0");
  const fs::path top = folder.Write("top.toml", "base = 'base.toml'\n" + kReference + "global_batch = 128");
  EXPECT_THROW(
      try { LoadFile(top); } catch (const UserError& error) {
        EXPECT_EQ(error.what(), base.string() + ":2:16: reference.global_batch = 0: it must be from 1 to 1e9");
        throw;
      },
      UserError);
}

TEST(Load, RefusesBasesThatAreMissingOrGoRoundInACircle) {
  const support::TemporaryFolder folder;
  const std::string a = folder.Write("a.toml", "base = 'b.toml'");
  const std::string b = folder.Write("b.toml", "base = 'sub/../a.toml'");
  const auto refusal = [](const fs::path& path) -> std::string {
    try {
      LoadFile(path);
    } catch (const UserError& error) {
      return error.what();
    }
    return "(accepted)";
  };
  EXPECT_EQ(refusal(a),
            fmt::format("{1}:1:8: base = \"sub/../a.toml\": files that are based on each other in a circle: {0} -> "
                        "{1} -> {0}",
                        a, b));
  const std::string c = folder.Write("c.toml", "base = 'd.toml'");
  EXPECT_EQ(refusal(c), fmt::format("{}:1:8: base = \"d.toml\": cannot read {}: No such file or directory", c,
                                    (folder.path() / "d.toml").string()));
  EXPECT_EQ(Refusal("base = 3"), "x.toml:1:8: base = 3: it must be the path of a config file, in quotes");
}

TEST(Load, TakesFilesRelativeToTheConfigThatStatesThem) {
  const support::TemporaryFolder folder;
  folder.Write("sub/base.toml",
               kReference +
                   "[model]\nname = 'mlp'\n[data]\nname = 'csv'\ntrain_file = '../train.csv'\ntest_file = "
                   "'a/test.csv'");
  const fs::path top = folder.Write("top.toml", "base = 'sub/base.toml'");
  const Options options = LoadFile(top);
  EXPECT_EQ(options.data.train_file, (folder.path() / "train.csv").string());
  EXPECT_EQ(options.data.test_file, (folder.path() / "sub/a/test.csv").string());
  EXPECT_EQ(options.data.folder, "data");
  EXPECT_EQ(LoadFile(top, {"data.test_file=t.csv"}).data.test_file, (fs::current_path() / "t.csv").string());
  EXPECT_EQ(LoadFile(top, {"data.test_file=7"}).data.test_file, (fs::current_path() / "7").string());
}

}  // namespace
}  // namespace crescendo::config
