#include "crescendo/config/validate.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "crescendo/base/error.h"
#include "crescendo/config/load.h"

namespace crescendo::config {
namespace {

std::string Refusal(const std::string& text) {
  try {
    LoadText(text, "x.toml");
  } catch (const UserError& error) {
    return error.what();
  }
  return "(accepted)";
}

std::string RefusalOfPositions(const std::string& text, int64_t train_examples) {
  const Options options = LoadText(text, "x.toml");
  try {
    ValidatePositions(options, train_examples);
  } catch (const UserError& error) {
    return error.what();
  }
  return "(accepted)";
}

const std::string kReference = "[reference]\nboundaries = ['60ep']\n";

TEST(Validate, RefusesContradictions) {
  struct Case {
    std::string config;
    std::string message;
  };
  const std::vector<Case> cases = {
      {"", "x.toml: reference.shape = step needs reference.boundaries, such as [\"60ep\", \"120ep\"]"},
      {"[reference]\nboundaries = ['60ep', '50ep']",
       "x.toml:2:1: reference.boundaries: positions must increase, but 50ep comes after 60ep"},
      {"[reference]\nboundaries = ['60ep', '60ep']",
       "x.toml:2:1: reference.boundaries: positions must increase, but 60ep comes after 60ep"},
      {"[reference]\nboundaries = [0]",
       "x.toml:2:1: reference.boundaries begins with 0: give the lower learning rate from the start"},
      {"[reference]\nboundaries = ['60ep', '200ep']",
       "x.toml:2:1: reference.boundaries: 200ep is not before the end of training, schedule.length = 200ep"},
      {"[reference]\nshape = 'table'",
       "x.toml:2:1: reference.shape = table needs reference.table, such as [[\"0ep\", 0.1], [\"60ep\", 0.02]]"},
      {"[reference]\nshape = 'table'\ntable = [['1ep', 0.1]]",
       "x.toml:3:1: reference.table begins at 1ep: its first position must be 0"},
      {"[reference]\nshape = 'table'\ntable = [[0, 0.1], ['5ep', 0.2], ['5ep', 0.3]]",
       "x.toml:3:1: reference.table: positions must increase, but 5ep comes after 5ep"},
      {"[reference]\nshape = 'table'\ntable = [[0, 0]]", "x.toml:3:1: reference.table: every learning rate is 0"},
      {"[reference]\nshape = 'table'\ntable = [[0, 0.1], ['201ep', 0]]",
       "x.toml:3:1: reference.table: 201ep is not before the end of training, schedule.length = 200ep"},
      {"[reference]\nshape = 'trapezoid'",
       "x.toml:2:1: reference.decay_begin = 0: trapezoid needs the place where its fall begins, such as \"160ep\""},
      {"[reference]\nshape = 'trapezoid'\ndecay_begin = '200ep'",
       "x.toml:3:1: reference.decay_begin: 200ep is not before the end of training, schedule.length = 200ep"},
      {"[reference]\nshape = 'one_cycle'",
       "x.toml:2:1: reference.rise = 0: one_cycle needs the length of its rise, such as \"30ep\""},
      {"[reference]\nshape = 'one_cycle'\nrise = '30ep'\nwarmup = '5ep'",
       "x.toml:4:1: reference.warmup with reference.shape = one_cycle, which has its own: reference.rise"},
      {"[reference]\nshape = 'restarts'\nperiod = 0",
       "x.toml:3:1: reference.period = 0: give a length such as \"10ep\""},
      {"[reference]\nshape = 'cosine'\nlearning_rate = 0.1\nfinal_learning_rate = 0.2",
       "x.toml:4:1: reference.final_learning_rate = 0.2 is above reference.learning_rate = 0.1, the largest"},
      {kReference + "warmup = '201ep'", "x.toml:3:1: reference.warmup = 201ep is longer than schedule.length = 200ep"},
      {kReference + "warmup_start = 0.1",
       "x.toml:3:1: reference.warmup_start = 0.1 without a reference.warmup: give its length, such as \"5ep\""},
      {kReference + "momentum_table = [['50ep', 0.9], ['20ep', 0.95]]",
       "x.toml:3:1: reference.momentum_table: positions must increase, but 20ep comes after 50ep"},
      {kReference + "[schedule]\nmomentum_table = [['250ep', 0.9]]",
       "x.toml:4:1: schedule.momentum_table: 250ep is not before the end of training, schedule.length = 200ep"},
      {kReference + "[schedule]\nlength = 0", "x.toml:4:1: schedule.length = 0: there is nothing to train"},
      {kReference + "[run]\nevaluate_every = 0", "x.toml:4:1: run.evaluate_every = 0: give a length such as \"1ep\""},
      {kReference + "[run]\nworkers = 'grow'\nworker_batch = 100",
       "x.toml:5:1: run.worker_batch = 100 is below model.ghost_batch = 128, the least that a worker can compute"},
      {kReference + "[model]\ndepth = 17",
       "x.toml:4:1: model.depth = 17 is not 6n+4 for a whole n; the nearest are 16 and 22"},
      {kReference + "[data]\nname = 'csv'", "x.toml:4:1: data.name = csv needs data.train_file, the table to train on"},
      {kReference + "[data]\nname = 'csv'\ntrain_file = 'a.csv'",
       "x.toml:5:1: there is nothing to test on: give data.test_file, or data.test_examples to set aside the last so "
       "many rows "
       "of data.train_file"},
      {kReference + "[data]\nname = 'csv'\ntrain_file = 'a.csv'\ntest_examples = 9",
       "x.toml:4:1: model.name = wide_resnet takes images, and data.name = csv is a table: give model.name = mlp"},
      {kReference + "[data]\nname = 'csv'\nlabel_column = 'class'",
       "x.toml:5:1: data.label_column names the column \"class\", and without data.header = true columns have no "
       "names: "
       "give that, or the column's number, from 0"},
      {kReference + "[data]\nname = 'csv'\nignored_columns = [3, 'id']",
       "x.toml:5:1: data.ignored_columns names the column \"id\", and without data.header = true columns have no "
       "names: "
       "give that, or the column's number, from 0"},
      {kReference + "[data]\npad = 32", "x.toml:4:1: data.pad = 32 must be below 32, the width of the images"},
      {kReference + "[data]\nname = 'mnist'\npad = 28",
       "x.toml:5:1: data.pad = 28 must be below 28, the width of the images"},
      {kReference + "[data]\nname = 'synthetic'\nimage_size = 4",
       "x.toml:5:1: data.pad = 4 must be below 4, the width of the images"},
      {kReference + "[run]\ngpu_graphs = true\nreproducible = true",
       "x.toml:4:1: run.gpu_graphs = true with run.reproducible = true: sums in a fixed order are not made of graphs; "
       "leave one of them out"},
      {kReference + "momentum = 0.9\n[optimizer]\nname = 'sgd'",
       "x.toml:3:1: reference.momentum = 0.9 with optimizer.name = sgd, which has no momentum: give 0, or "
       "optimizer.name = "
       "momentum or nesterov"},
      {kReference + "[optimizer]\nname = 'sgd'\n[schedule]\nmomentum = 0.5",
       "x.toml:6:1: schedule.momentum = 0.5 with optimizer.name = sgd, which has no momentum: give 0, or "
       "optimizer.name = "
       "momentum or nesterov"},
      {kReference + "momentum_table = [['5ep', 0.5]]\n[optimizer]\nname = 'sgd'",
       "x.toml:3:1: reference.momentum_table = 0.5 with optimizer.name = sgd, which has no momentum: give 0, or "
       "optimizer.name = momentum or nesterov"},
      {kReference + "[optimizer]\nname = 'adam'\n[schedule]\nrule = 'sqrt'\nmomentum = 0.95",
       "x.toml:7:1: schedule.momentum = 0.95 must equal reference.momentum = 0.9: under schedule.rule = sqrt the "
       "momentum of "
       "adam does not trade against the batch"},
      {kReference + "[optimizer]\nname = 'lamb'\n[schedule]\nrule = 'seesaw'\nmomentum_table = [['5ep', 0.95]]",
       "x.toml:7:1: schedule.momentum_table must equal reference.momentum_table: under schedule.rule = seesaw the "
       "momentum of "
       "lamb does not trade against the batch"},
      {kReference + "[schedule]\nrule = 'sqrt'",
       "x.toml:4:1: schedule.rule = sqrt with optimizer.name = momentum: sqrt is a rule for the Adam family; give rule "
       "= linear, or optimizer.name = adam, adamw or lamb"},
      {kReference + "[optimizer]\nname = 'lars'\n[schedule]\nrule = 'seesaw'",
       "x.toml:6:1: schedule.rule = seesaw with optimizer.name = lars: seesaw is a rule for the Adam family; give rule "
       "= linear, or optimizer.name = adam, adamw or lamb"},
      {kReference + "[optimizer]\nname = 'adamw'\n[schedule]\nmomentum_buffer = 'rescale'",
       "x.toml:6:1: schedule.momentum_buffer = rescale with optimizer.name = adamw, whose buffer is a mean, with one "
       "steady state at any momentum: give keep or reset"},
      {kReference + "[optimizer]\nname = 'sgd'\n[schedule]\nmomentum_buffer = 'reset'",
       "x.toml:6:1: schedule.momentum_buffer = reset with optimizer.name = sgd, which has no such buffer: leave it "
       "out, "
       "or give optimizer.name = momentum or nesterov"},
  };
  for (const Case& c : cases) EXPECT_EQ(Refusal(c.config), c.message) << c.config;
}

TEST(Validate, AcceptsWhatOnlyLooksLikeAContradiction) {
  const std::string accepted = "(accepted)";
  EXPECT_EQ(Refusal(kReference + "[optimizer]\nname = 'sgd'\n[schedule]\nmomentum = 0"), accepted);
  EXPECT_EQ(Refusal(kReference + "[optimizer]\nname = 'adam'\n[schedule]\nrule = 'linear'\nmomentum = 0.95"), accepted);
  EXPECT_EQ(Refusal(kReference + "[optimizer]\nname = 'adam'\n[schedule]\nrule = 'sqrt'\nmomentum = 0.9"), accepted);
  EXPECT_EQ(Refusal(kReference + "[optimizer]\nname = 'adam'\n[schedule]\nmomentum_buffer = 'reset'"), accepted);
  EXPECT_EQ(Refusal(kReference + "[optimizer]\nname = 'rmsprop'\n[schedule]\nmomentum_buffer = 'rescale'"), accepted);
  EXPECT_EQ(Refusal(kReference + "[optimizer]\nname = 'sgd'\n[schedule]\nmomentum_buffer = 'keep'"), accepted);
  EXPECT_EQ(Refusal("[reference]\nshape = 'table'\ninterpolation = 'linear'\ntable = [[0, 0.1], ['200ep', 0]]"),
            accepted);
  EXPECT_EQ(Refusal("[reference]\nshape = 'constant'\nwarmup = '200ep'"), accepted);
  EXPECT_EQ(Refusal(kReference + "[run]\nworkers = 'grow'\nworker_batch = 128"), accepted);
  EXPECT_EQ(Refusal(kReference + "[run]\nworkers = 'grow'\n[model]\nghost_batch = 1000"), accepted);
  EXPECT_EQ(Refusal(kReference + "[data]\npad = 31"), accepted);
  EXPECT_EQ(Refusal(kReference + "[run]\nreproducible = true"), accepted);
  EXPECT_EQ(Refusal(kReference + "[model]\nname = 'mlp'"), accepted);  // whose depth is not that of a wide resnet
}

TEST(Validate, ComparesPositionsInDifferentUnitsOnceTheTrainingSetIsKnown) {
  const std::string text = "[reference]\nboundaries = ['60ep', '4Msp']\n[schedule]\nlength = '5Msp'";
  EXPECT_EQ(RefusalOfPositions(text, 50'000), "(accepted)");  // 3 Msp, 4 Msp, 5 Msp
  EXPECT_EQ(RefusalOfPositions(text, 70'000),
            "x.toml:2:1: reference.boundaries: positions must increase, but 4Msp comes after 60ep");
  EXPECT_EQ(RefusalOfPositions("[reference]\nboundaries = ['60ep']\n[schedule]\nlength = '3Msp'", 50'000),
            "x.toml:2:1: reference.boundaries: 60ep is not before the end of training, schedule.length = 3Msp");
  EXPECT_EQ(RefusalOfPositions("[reference]\nshape = 'constant'\n[run]\nevaluate_every = '0.001ep'", 100),
            "x.toml:4:1: run.evaluate_every = 0.001ep, less than one of 100 training examples: give a length such as "
            "\"1ep\"");
}

TEST(Validate, RefusesPositionsThatCannotBeCounted) {
  EXPECT_EQ(RefusalOfPositions("[reference]\nshape = 'constant'\n[schedule]\nlength = '2000000000000000000sp'", 10),
            "x.toml:4:1: schedule.length: 2000000000Gsp is not a place in training: with 10 training examples it is "
            "example 2e+18, and positions go from 0 to 1e18");
}

TEST(Validate, GivesMessagesFromBelowThePlaceOfTheOptionTheyName) {
  const Options options =
      LoadText("[reference]\nshape = 'constant'\n[schedule]\nmomentum = 0.9\nmomentum_table = [['1ep', 0.8]]", "x.toml",
               {"data.train_examples=7"});
  EXPECT_EQ(WithPlace(options, "schedule.momentum = 0.9 is odd"), "x.toml:4:1: schedule.momentum = 0.9 is odd");
  EXPECT_EQ(WithPlace(options, "schedule.momentum_table is odd"), "x.toml:5:1: schedule.momentum_table is odd");
  EXPECT_EQ(WithPlace(options, "not so many: data.train_examples"),
            "command line: data.train_examples=7: not so many: data.train_examples");
  EXPECT_EQ(WithPlace(options, "schedule.max_batch is odd"), "x.toml: schedule.max_batch is odd");  // not stated
  EXPECT_EQ(WithPlace(options, "above schedule.max_batch, and schedule.momentum_table is odd"),
            "x.toml:5:1: above schedule.max_batch, and schedule.momentum_table is odd");
  EXPECT_EQ(WithPlace(options, "above schedule.max_batch, of data.train_examples"),
            "command line: data.train_examples=7: above schedule.max_batch, of data.train_examples");
  EXPECT_EQ(WithPlace(options, "table.csv, line 3: odd"), "table.csv, line 3: odd");  // names no option
  EXPECT_EQ(WithPlace(options, "x.toml:4:1: schedule.momentum is odd"), "x.toml:4:1: schedule.momentum is odd");
  EXPECT_EQ(WithPlace(Options{}, "schedule.momentum is odd"), "schedule.momentum is odd");
}

}  // namespace
}  // namespace crescendo::config
