// Every option of crescendo: the only list. Each struct is one section of the config file; each field is declared here
// with its default and described once in Visit, which the loader, `crescendo config`, the resolved config of a run and
// the documentation all walk. A key that is not here is an error.
//
// A description is: unit, sentence, bounds, and where the option has a meaning only with certain values of another
// option of its section, that condition ("shape = step exponential"): given without it, the key is an error and not
// ignored. What contradicts across keys is in validate.h.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "crescendo/config/choices.h"
#include "crescendo/config/values.h"
#include "crescendo/schedule/corner_cases.h"

namespace crescendo::config {

struct Description {
  const char* unit = "";  // "" where the value has none
  const char* sentence = "";
  double minimum = -std::numeric_limits<double>::infinity();  // allowed, for each number of the value
  double maximum = std::numeric_limits<double>::infinity();
  const char* only_with = "";  // "KEY = VALUE VALUE ...": with which values of a sibling key this means something
  const char* unset = "";      // for std::optional: the word that stands for "not set"
  bool is_file = false;        // a file, relative to the config file that states it; absolute once loaded
};

struct DataOptions {
  static constexpr const char* kAbout = "where the examples come from and how they are made ready";

  DatasetName name = DatasetName::kCifar10;
  std::string folder = "data";
  int64_t train_examples = 0;
  int64_t test_examples = 0;
  int64_t pad = 4;
  Padding padding = Padding::kReflect;
  bool flip = true;
  std::string train_file;
  std::string test_file;
  bool header = false;
  Column label_column = -1;
  std::vector<Column> categorical_columns;
  std::vector<Column> ignored_columns;
  std::string missing = "?";
  std::string comment;
  int64_t classes = 10;
  int64_t image_size = 32;
  int64_t threads = 1;
  int64_t prefetch = 4;

  template <class Self, class Visitor>
  static void Visit(Self& self, Visitor&& visit) {
    constexpr const char* kImages = "name = cifar10 cifar100 mnist fashion_mnist synthetic";
    constexpr const char* kCsv = "name = csv";
    constexpr const char* kSynthetic = "name = synthetic";
    visit("name", self.name, {.sentence = "the data set"});
    visit("folder", self.folder,
          {.sentence = "where the files of the data sets are, as `crescendo fetch` lays them out; relative to the "
                       "current folder"});
    visit("train_examples", self.train_examples,
          {.unit = "examples", .sentence = "train on the first so many only; 0: all (synthetic: 10000)", .minimum = 0});
    visit("test_examples", self.test_examples,
          {.unit = "examples",
           .sentence = "test on the first so many only; 0: all (synthetic: 2000); for a csv without a test_file: the "
                       "last so many rows are the test set",
           .minimum = 0});
    visit("pad", self.pad,
          {.unit = "pixels",
           .sentence =
               "each training image is padded by so much on each side, then cropped at a random place; 0: not at all",
           .minimum = 0,
           .maximum = 64,
           .only_with = kImages});
    visit("padding", self.padding, {.sentence = "what the pad shows", .only_with = kImages});
    visit(
        "flip", self.flip,
        {.sentence = "mirror every other training image, at random; for mnist and fashion_mnist false by default: left "
                     "and right of a digit or a shoe differ",
         .only_with = kImages});
    visit("train_file", self.train_file,
          {.sentence = "the table to train on; .xz and .gz are unpacked; relative to the config file",
           .only_with = kCsv,
           .is_file = true});
    visit("test_file", self.test_file,
          {.sentence = "the table to test on, with the columns of train_file in the same order; empty: the last "
                       "test_examples rows of train_file",
           .only_with = kCsv,
           .is_file = true});
    visit("header", self.header,
          {.sentence = "the first line of each file holds the columns' names; those of test_file must be train_file's",
           .only_with = kCsv});
    visit("label_column", self.label_column,
          {.sentence = "which column is the class: its number, from 0, negative from the end, or with header its name, "
                       "where it is there once; all options of columns take both",
           .only_with = kCsv});
    visit("categorical_columns", self.categorical_columns,
          {.sentence = "columns that hold names, each turned into one input per name seen in training; all others hold "
                       "numbers, scaled to mean 0 and deviation 1",
           .only_with = kCsv});
    visit("ignored_columns", self.ignored_columns, {.sentence = "columns that are not used", .only_with = kCsv});
    visit("missing", self.missing,
          {.sentence = "a field that reads so is missing: the mean of its column, or a category of its own",
           .only_with = kCsv});
    visit("comment", self.comment, {.sentence = "lines that begin so are left out; empty: none", .only_with = kCsv});
    visit("classes", self.classes,
          {.sentence = "number of classes", .minimum = 2, .maximum = 1000, .only_with = kSynthetic});
    visit("image_size", self.image_size,
          {.unit = "pixels", .sentence = "height and width", .minimum = 4, .maximum = 512, .only_with = kSynthetic});
    visit("threads", self.threads,
          {.sentence = "threads that prepare images beside the training", .minimum = 1, .maximum = 64});
    visit("prefetch", self.prefetch,
          {.unit = "micro-batches", .sentence = "how far they work ahead", .minimum = 1, .maximum = 64});
  }

  friend bool operator==(const DataOptions&, const DataOptions&) = default;
};

struct ModelOptions {
  static constexpr const char* kAbout = "the network";

  ModelName name = ModelName::kWideResNet;
  int64_t depth = 16;
  int64_t width = 4;
  std::vector<int64_t> hidden = {128, 128};
  bool batch_norm = true;
  int64_t ghost_batch = 128;
  double norm_momentum = 0.1;
  double norm_epsilon = 1e-5;

  template <class Self, class Visitor>
  static void Visit(Self& self, Visitor&& visit) {
    visit("name", self.name, {.sentence = "the network"});
    visit("depth", self.depth,
          {.unit = "layers",
           .sentence = "6n+4 for a whole n",
           .minimum = 10,
           .maximum = 1000,
           .only_with = "name = wide_resnet"});
    visit("width", self.width,
          {.sentence = "the factor k on the widths 16, 32, 64",
           .minimum = 1,
           .maximum = 64,
           .only_with = "name = wide_resnet"});
    visit("hidden", self.hidden,
          {.unit = "units",
           .sentence = "the widths of the hidden layers",
           .minimum = 1,
           .maximum = 1e6,
           .only_with = "name = mlp"});
    visit("batch_norm", self.batch_norm, {.sentence = "ghost batch norm before each ReLU", .only_with = "name = mlp"});
    visit("ghost_batch", self.ghost_batch,
          {.unit = "examples",
           .sentence = "how many examples share batch-norm statistics: a constant of the model, whatever the batch",
           .minimum = 2,
           .maximum = 1e9});
    visit("norm_momentum", self.norm_momentum,
          {.sentence = "the share of a ghost batch's statistics in the running statistics",
           .minimum = 0,
           .maximum = 1,
           .only_with = "batch_norm = true"});
    visit("norm_epsilon", self.norm_epsilon,
          {.sentence = "added to the variance", .minimum = 0, .maximum = 1, .only_with = "batch_norm = true"});
  }

  friend bool operator==(const ModelOptions&, const ModelOptions&) = default;
};

struct OptimizerOptions {
  static constexpr const char* kAbout =
      "how gradients become steps; the learning rate and the momentum come from the schedule";

  OptimizerName name = OptimizerName::kMomentum;
  double weight_decay = 0;
  WeightDecay decay = WeightDecay::kCoupled;
  bool decay_norm_and_bias = true;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double smoothing = 0.99;
  double trust_coefficient = 0.001;

  template <class Self, class Visitor>
  static void Visit(Self& self, Visitor&& visit) {
    visit(
        "name", self.name,
        {.sentence = "the rule of the step; momentum is the paper's form, with the learning rate outside the buffer"});
    visit("weight_decay", self.weight_decay,
          {.sentence = "the factor of the weights in their own decay", .minimum = 0, .maximum = 1});
    visit("decay", self.decay,
          {.sentence = "coupled adds it to the gradient, decoupled (times the learning rate) to the step; adamw and "
                       "lamb are always decoupled",
           .only_with = "name = sgd momentum nesterov adam rmsprop"});
    visit("decay_norm_and_bias", self.decay_norm_and_bias,
          {.sentence = "whether batch norm's parameters and the biases decay too; the paper: yes, Goyal et al.: no"});
    visit("beta2", self.beta2,
          {.sentence = "decay of the second moment",
           .minimum = 0,
           .maximum = 0.9999999,
           .only_with = "name = adam adamw lamb"});
    visit("epsilon", self.epsilon,
          {.sentence = "added to the root of the second moment",
           .minimum = 0,
           .maximum = 1,
           .only_with = "name = adam adamw lamb rmsprop"});
    visit("smoothing", self.smoothing,
          {.sentence = "decay of RMSprop's mean square",
           .minimum = 0,
           .maximum = 0.9999999,
           .only_with = "name = rmsprop"});
    visit("trust_coefficient", self.trust_coefficient,
          {.sentence = "eta of LARS (You et al. 2017)", .minimum = 0, .maximum = 10, .only_with = "name = lars"});
  }

  friend bool operator==(const OptimizerOptions&, const OptimizerOptions&) = default;
};

struct ReferenceOptions {
  static constexpr const char* kAbout = "the schedule that is known to work, as it would be run at a fixed batch";

  int64_t global_batch = 128;
  double momentum = 0.9;
  PositionTable momentum_table;
  double learning_rate = 0.1;
  Shape shape = Shape::kStep;
  std::vector<Position> boundaries;
  double factor = 0.1;
  Position period = {1, Position::Unit::kEpochs};
  double cycle_factor = 1;
  double power = 1;
  double final_learning_rate = 0;
  Position rise = {0, Position::Unit::kEpochs};
  double start_factor = 0.04;
  double final_factor = 4e-6;
  Position decay_begin = {0, Position::Unit::kEpochs};
  PositionTable table;
  Interpolation interpolation = Interpolation::kConstant;
  Position warmup = {0, Position::Unit::kEpochs};
  double warmup_start = 0;

  template <class Self, class Visitor>
  static void Visit(Self& self, Visitor&& visit) {
    constexpr double kMaximumRate = 1e6;
    visit("global_batch", self.global_batch,
          {.unit = "examples", .sentence = "the batch the schedule was made for", .minimum = 1, .maximum = 1e9});
    visit("momentum", self.momentum,
          {.sentence = "the momentum coefficient; beta1 of the Adam family; 0 for plain SGD",
           .minimum = 0,
           .maximum = 0.99999});
    visit("momentum_table", self.momentum_table,
          {.unit = "[position, momentum]",
           .sentence = "momentum from positions on, where it changes; overrides momentum from its first entry on; or "
                       "the path of a CSV file, as for table",
           .minimum = 0,
           .maximum = 0.99999});
    visit("learning_rate", self.learning_rate,
          {.sentence = "the largest learning rate, which multiplies the mean gradient",
           .minimum = 1e-12,
           .maximum = kMaximumRate,
           .only_with = "shape = constant step cosine restarts exponential polynomial linear one_cycle trapezoid "
                        "inverse_sqrt"});
    visit("shape", self.shape, {.sentence = "how the learning rate goes over training"});
    visit("boundaries", self.boundaries,
          {.sentence = "where the learning rate is multiplied by factor", .only_with = "shape = step"});
    visit("factor", self.factor,
          {.sentence = "what the learning rate is multiplied by at each boundary, or per period",
           .minimum = 1e-9,
           .maximum = 1e9,
           .only_with = "shape = step exponential"});
    visit("period", self.period,
          {.sentence = "exponential: the length over which it falls by factor; restarts: the first cycle",
           .only_with = "shape = exponential restarts"});
    visit("cycle_factor", self.cycle_factor,
          {.sentence = "each cycle is so many times as long as the one before",
           .minimum = 1,
           .maximum = 100,
           .only_with = "shape = restarts"});
    visit("power", self.power,
          {.sentence = "the power of the remaining part of training",
           .minimum = 0.001,
           .maximum = 100,
           .only_with = "shape = polynomial"});
    visit("final_learning_rate", self.final_learning_rate,
          {.sentence = "where it ends, and the lowest it gets",
           .minimum = 0,
           .maximum = kMaximumRate,
           .only_with = "shape = cosine restarts polynomial linear trapezoid"});
    visit("rise", self.rise,
          {.sentence = "the length of one-cycle's rise to learning_rate", .only_with = "shape = one_cycle"});
    visit("start_factor", self.start_factor,
          {.sentence = "one-cycle begins at learning_rate times this",
           .minimum = 0,
           .maximum = 1,
           .only_with = "shape = one_cycle"});
    visit("final_factor", self.final_factor,
          {.sentence = "one-cycle ends at learning_rate times this",
           .minimum = 0,
           .maximum = 1,
           .only_with = "shape = one_cycle"});
    visit("decay_begin", self.decay_begin,
          {.sentence = "where the fall begins: the trapezoid's, straight to final_learning_rate at the end, or the "
                       "inverse square root's",
           .only_with = "shape = trapezoid inverse_sqrt"});
    visit("table", self.table,
          {.unit = "[position, learning rate]",
           .sentence = "the learning rate at positions, the first at 0; or the path of a CSV file, relative to the "
                       "config, with a column step, epoch or sample and one learning_rate, lr or value",
           .minimum = 0,
           .maximum = kMaximumRate,
           .only_with = "shape = table"});
    visit("interpolation", self.interpolation,
          {.sentence = "what holds between two positions of the table", .only_with = "shape = table"});
    visit("warmup", self.warmup,
          {.sentence = "over this length the learning rate is multiplied by a factor that rises in a straight line "
                       "from warmup_start to 1; not with one_cycle, which has a rise of its own"});
    visit("warmup_start", self.warmup_start, {.sentence = "where that factor begins", .minimum = 0, .maximum = 1});
  }

  friend bool operator==(const ReferenceOptions&, const ReferenceOptions&) = default;
};

struct ScheduleOptions {
  static constexpr const char* kAbout = "what this run does instead";

  Position length = {200, Position::Unit::kEpochs};
  schedule::Policy policy = schedule::Policy::kGrow;
  std::optional<double> learning_rate;
  std::optional<double> momentum;
  PositionTable momentum_table;
  BatchLimit max_batch;
  schedule::AtCap at_cap = schedule::AtCap::kHybrid;
  schedule::Rounding rounding = schedule::Rounding::kNearest;
  int64_t batch_multiple = 1;
  double growth_factor = 2;
  double hysteresis = 0.25;
  schedule::ScalingRule rule = schedule::ScalingRule::kLinear;
  schedule::NoiseForm noise_form = schedule::NoiseForm::kSmallBatch;
  schedule::EpochTail epoch_tail = schedule::EpochTail::kCarry;
  schedule::Boundary boundary = schedule::Boundary::kStart;
  schedule::MomentumBuffer momentum_buffer = schedule::MomentumBuffer::kKeep;

  template <class Self, class Visitor>
  static void Visit(Self& self, Visitor&& visit) {
    visit("length", self.length, {.sentence = "how long to train; the same for every schedule that is to be compared"});
    visit("policy", self.policy, {.sentence = "what is done where the reference lowers its learning rate"});
    visit("learning_rate", self.learning_rate,
          {.sentence =
               "what this run's largest learning rate is meant to be; the first batch follows from it, and where that "
               "is rounded the rate makes up for it",
           .minimum = 1e-12,
           .maximum = 1e6,
           .unset = "reference"});
    visit("momentum", self.momentum,
          {.sentence = "this run's momentum coefficient; a larger one lets the batch begin larger",
           .minimum = 0,
           .maximum = 0.99999,
           .unset = "reference"});
    visit("momentum_table", self.momentum_table,
          {.unit = "[position, momentum]",
           .sentence = "this run's momentum from positions on, where it changes; or the path of a CSV file",
           .minimum = 0,
           .maximum = 0.99999});
    visit(
        "max_batch", self.max_batch,
        {.unit = "examples",
         .sentence = "the batch never grows above this: a number, N/k, or none (that is N); the paper's advice is N/10",
         .minimum = 1});
    visit("at_cap", self.at_cap,
          {.sentence = "what happens once the batch may not grow further", .only_with = "policy = grow"});
    visit("rounding", self.rounding,
          {.sentence = "which batches a growing batch may take", .only_with = "policy = grow"});
    visit("batch_multiple", self.batch_multiple,
          {.unit = "examples",
           .sentence = "the batch is a multiple of this",
           .minimum = 1,
           .maximum = 1e9,
           .only_with = "rounding = multiple"});
    visit("growth_factor", self.growth_factor,
          {.sentence = "the batch grows by powers of this",
           .minimum = 1.0001,
           .maximum = 1000,
           .only_with = "rounding = power"});
    visit(
        "hysteresis", self.hysteresis,
        {.sentence = "the batch changes only where it should by more than this share (0.25: by a quarter), or reaches "
                     "its limit; 0: at every update where it can; the learning rate keeps the noise exact in between",
         .minimum = 0,
         .maximum = 100,
         .only_with = "policy = grow"});
    visit(
        "rule", self.rule,
        {.sentence = "how batch and learning rate trade at equal noise; sqrt and seesaw are for adam, adamw and lamb"});
    visit(
        "noise_form", self.noise_form,
        {.sentence = "which form of the noise scale is held equal to the reference's: lr x / (1-m), or under sqrt and "
                     "seesaw lr sqrt(x) / (1-m), with x as follows"});
    visit("epoch_tail", self.epoch_tail,
          {.sentence = "what happens to an epoch's last examples where the batch does not divide the epoch"});
    visit("boundary", self.boundary, {.sentence = "what happens to a batch during which the reference has a boundary"});
    visit("momentum_buffer", self.momentum_buffer,
          {.sentence = "what happens to the momentum buffer where the batch or the momentum changes; sgd has none, and "
                       "that of adam, adamw and lamb is a mean, which cannot be rescaled"});
  }

  friend bool operator==(const ScheduleOptions&, const ScheduleOptions&) = default;
};

struct RunOptions {
  static constexpr const char* kAbout =
      "how the run is carried out; but for the seed and the precision, nothing here changes more of what is learned "
      "than the last bits";

  int64_t seed = 1;
  DeviceName device = DeviceName::kAuto;
  Precision precision = Precision::kFp32;
  std::optional<int64_t> micro_batch;
  std::optional<int64_t> threads;
  bool reproducible = false;
  bool cache_memory = true;
  std::optional<bool> gpu_norm_kernels;
  std::optional<bool> gpu_graphs;
  Workers workers = Workers::kFixed;
  std::optional<int64_t> worker_batch;
  double worker_timeout = 120;
  int64_t log_every = 1;
  Position evaluate_every = {1, Position::Unit::kEpochs};

  template <class Self, class Visitor>
  static void Visit(Self& self, Visitor&& visit) {
    visit("seed", self.seed,
          {.sentence = "initial weights, order of the examples and augmentation follow from it",
           .minimum = 0,
           .maximum = 9e15});
    visit("device", self.device, {.sentence = "where to train; auto: a GPU if one is there, else the CPU"});
    visit("precision", self.precision,
          {.sentence = "bf16 multiplies in bfloat16 and keeps weights and statistics in fp32"});
    visit("micro_batch", self.micro_batch,
          {.unit = "examples",
           .sentence = "how many examples are in memory at once, at most; whole ghost batches, at least one; auto: "
                       "measured at the start (speed on a CPU, free memory on a GPU)",
           .minimum = 1,
           .maximum = 1e9,
           .unset = "auto"});
    visit(
        "threads", self.threads,
        {.sentence = "threads that compute on the CPU, in each worker; auto: one per core this process may use, or its "
                     "part of them where several workers do",
         .minimum = 1,
         .maximum = 4096,
         .unset = "auto"});
    visit("reproducible", self.reproducible,
          {.sentence =
               "equal bits for any number of workers and any micro_batch: each ghost batch is computed alone and "
               "sums are taken in a fixed order, at some cost; threads = auto is then 1, since the bits depend on "
               "the number; on a GPU only kernels that repeat their bits are used"});
    visit("cache_memory", self.cache_memory,
          {.sentence = "keep freed CPU memory for the next step instead of giving it back to the system"});
    visit("gpu_norm_kernels", self.gpu_norm_kernels,
          {.sentence = "batch norm and ReLU by crescendo's own GPU kernels (on a CPU: by slow loops that do the same); "
                       "auto: on a GPU",
           .unset = "auto"});
    visit("gpu_graphs", self.gpu_graphs,
          {.sentence =
               "queue each micro-batch on a GPU as one CUDA graph, and read losses twice a second, so that the GPU "
               "need not wait; for one worker; auto: on a GPU, where one worker trains and run.reproducible is false",
           .unset = "auto"});
    visit("workers", self.workers, {.sentence = "how many of a run's workers compute"});
    visit(
        "worker_batch", self.worker_batch,
        {.unit = "examples",
         .sentence = "one worker for each so many of the batch, rounded down: where the batch doubles, so do they; not "
                     "below model.ghost_batch, since a worker computes whole ghost batches",
         .minimum = 1,
         .maximum = 1e9,
         .only_with = "workers = grow",
         .unset = "ghost_batch"});
    visit("worker_timeout", self.worker_timeout,
          {.unit = "seconds",
           .sentence =
               "how long the workers of a run wait for one of them before they give it up and end: it hangs, or the "
               "network to it is cut; one that dies ends them at once",
           .minimum = 1,
           .maximum = 1e6});
    visit("log_every", self.log_every,
          {.unit = "updates",
           .sentence = "how often an update is written to run.jsonl; the first and last of each phase always are",
           .minimum = 1,
           .maximum = 1e9});
    visit("evaluate_every", self.evaluate_every,
          {.sentence = "how often the test set is evaluated; always at the end"});
  }

  friend bool operator==(const RunOptions&, const RunOptions&) = default;
};

struct CheckpointOptions {
  static constexpr const char* kAbout =
      "when the state of a run is kept, so that it can be resumed; a run that a signal stops always keeps it";

  std::optional<Position> every;
  double minutes = 10;
  bool at_phase_changes = false;
  bool at_end = true;
  int64_t keep_last = 2;
  bool keep_best = false;

  template <class Self, class Visitor>
  static void Visit(Self& self, Visitor&& visit) {
    visit("every", self.every, {.sentence = "a checkpoint each time so much was trained", .unset = "none"});
    visit("minutes", self.minutes,
          {.unit = "minutes",
           .sentence = "a checkpoint where the last one is so old; 0: not by time",
           .minimum = 0,
           .maximum = 1e6});
    visit("at_phase_changes", self.at_phase_changes,
          {.sentence = "a checkpoint before the first update of each phase: a place to branch off another schedule; a "
                       "smooth schedule may have thousands"});
    visit("at_end", self.at_end,
          {.sentence = "a checkpoint of the finished run, from which a longer schedule can go on"});
    visit("keep_last", self.keep_last,
          {.unit = "checkpoints", .sentence = "how many are kept; 0: all", .minimum = 0, .maximum = 1e9});
    visit("keep_best", self.keep_best,
          {.sentence = "a checkpoint at each evaluation that is better than all before; the best is kept besides"});
  }

  friend bool operator==(const CheckpointOptions&, const CheckpointOptions&) = default;
};

// Where each option that was stated was stated: key -> "recipes/x.toml:12:1" or "command line:
// schedule.max_batch=5120"; under "" the name of the file. Two configs that say the same are equal wherever they say
// it.
struct Places : std::map<std::string, std::string, std::less<>> {
  using map::map;
  friend bool operator==(const Places&, const Places&) { return true; }
};

struct Options {
  DataOptions data;
  ModelOptions model;
  OptimizerOptions optimizer;
  ReferenceOptions reference;
  ScheduleOptions schedule;
  RunOptions run;
  CheckpointOptions checkpoint;

  Places places;  // no option: for messages about what contradicts only once the training set is known

  // visit_section(name, struct) for each section, in the order of the file.
  template <class Self, class Visitor>
  static void Visit(Self& self, Visitor&& visit_section) {
    visit_section("data", self.data);
    visit_section("model", self.model);
    visit_section("optimizer", self.optimizer);
    visit_section("reference", self.reference);
    visit_section("schedule", self.schedule);
    visit_section("run", self.run);
    visit_section("checkpoint", self.checkpoint);
  }

  friend bool operator==(const Options&, const Options&) = default;
};

// What the positions of `options` are counted in. `train_examples` is N.
inline Scale ScaleOf(const Options& options, int64_t train_examples) {
  return {train_examples, options.reference.global_batch, options.schedule.epoch_tail};
}

}  // namespace crescendo::config
