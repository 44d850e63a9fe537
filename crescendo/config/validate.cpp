#include "crescendo/config/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <compare>
#include <map>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "crescendo/base/error.h"

namespace crescendo::config {
namespace {

// Height and width of the images, in pixels; 0 for a table.
int64_t ImageSide(const DataOptions& data) {
  switch (data.name) {
    case DatasetName::kCifar10:
    case DatasetName::kCifar100:
      return 32;
    case DatasetName::kMnist:
    case DatasetName::kFashionMnist:
      return 28;
    case DatasetName::kSynthetic:
      return data.image_size;
    case DatasetName::kCsv:
      return 0;
  }
  CRESCENDO_ASSERT(false, "a data set of neither images nor a table");
}

class Validator {
 public:
  // Without `train_examples`, positions in different units are not compared.
  Validator(const Options& options, std::optional<int64_t> train_examples)
      : options_(options), train_examples_(train_examples) {}

  void CheckAll() const {
    CheckData();
    CheckModel();
    CheckRule();
    CheckMomentum();
    CheckMomentumBuffer();
    CheckRates();
    CheckWorkers();
    CheckGraphs();
    CheckPositions();
  }

  void CheckPositions() const {
    if (train_examples_) CheckPlaces();
    const ReferenceOptions& reference = options_.reference;
    const ScheduleOptions& schedule = options_.schedule;
    RequireLength("schedule.length", schedule.length, "there is nothing to train");
    RequireLength("run.evaluate_every", options_.run.evaluate_every, "give a length such as \"1ep\"");
    if (options_.checkpoint.every) {
      RequireLength("checkpoint.every", *options_.checkpoint.every, "give a length such as \"5ep\", or none");
    }
    switch (reference.shape) {
      case Shape::kStep:
        CheckBoundaries();
        break;
      case Shape::kRestarts:
      case Shape::kExponential:
        RequireLength("reference.period", reference.period, "give a length such as \"10ep\"");
        break;
      case Shape::kOneCycle:
        RequireLength("reference.rise", reference.rise, "one_cycle needs the length of its rise, such as \"30ep\"");
        RequireBeforeEnd("reference.rise", reference.rise);
        break;
      case Shape::kTrapezoid:
      case Shape::kInverseSqrt:
        RequireLength(
            "reference.decay_begin", reference.decay_begin,
            fmt::format("{} needs the place where its fall begins, such as \"160ep\"", NameOf(reference.shape)));
        RequireBeforeEnd("reference.decay_begin", reference.decay_begin);
        break;
      case Shape::kTable:
        CheckRateTable();
        break;
      case Shape::kConstant:
      case Shape::kCosine:
      case Shape::kPolynomial:
      case Shape::kLinear:
        break;
    }
    if (Compare(reference.warmup, schedule.length) == std::partial_ordering::greater) {
      Fail("reference.warmup", fmt::format("reference.warmup = {} is longer than schedule.length = {}",
                                           ToText(reference.warmup), ToText(schedule.length)));
    }
    CheckMomentumTable("reference.momentum_table", reference.momentum_table);
    CheckMomentumTable("schedule.momentum_table", schedule.momentum_table);
  }

 private:
  // At the place of `key`, or, where that was not stated, of `cause`, the option by which it matters.
  [[noreturn]] void Fail(std::string_view key, std::string_view message, std::string_view cause = "") const {
    for (const std::string_view candidate : {key, cause, std::string_view()}) {
      const auto place = options_.places.find(candidate);
      if (place != options_.places.end()) throw UserError(fmt::format("{}: {}", place->second, message));
    }
    throw UserError(std::string(message));
  }

  // Every position is a number of examples that can be counted.
  void CheckPlaces() const {
    const auto check = [this](const std::string& key, const Position& position) {
      try {
        (void)position.Resolve(ScaleOf(options_, *train_examples_));
      } catch (const UserError& error) {
        Fail(key, fmt::format("{}: {}", key, error.what()));
      }
    };
    VisitFields(options_, [&](const std::string& key, const auto& value, const Description&) {
      using Value = std::decay_t<decltype(value)>;
      if constexpr (std::is_same_v<Value, Position>) {
        check(key, value);
      } else if constexpr (std::is_same_v<Value, std::optional<Position>>) {
        if (value) check(key, *value);
      } else if constexpr (std::is_same_v<Value, std::vector<Position>>) {
        for (const Position& position : value) check(key, position);
      } else if constexpr (std::is_same_v<Value, PositionTable>) {
        for (const auto& [position, number] : value) check(key, position);
      }
    });
  }

  void CheckData() const {
    const DataOptions& data = options_.data;
    if (data.name != DatasetName::kCsv) {
      const int64_t side = ImageSide(data);
      if (data.pad < side) return;
      Fail("data.pad", fmt::format("data.pad = {} must be below {}, the width of the images", data.pad, side),
           "data.image_size");
    }
    if (!data.header) CheckNumbered();
    if (data.train_file.empty()) Fail("data.name", "data.name = csv needs data.train_file, the table to train on");
    if (data.test_file.empty() && data.test_examples == 0) {
      Fail("data.train_file",
           "there is nothing to test on: give data.test_file, or data.test_examples to set aside the last so many rows "
           "of "
           "data.train_file");
    }
  }

  // Without a header, columns have no names.
  void CheckNumbered() const {
    VisitFields(options_, [this](const std::string& key, const auto& value, const Description&) {
      const auto check = [&](const Column& column) {
        const auto* name = std::get_if<std::string>(&column);
        if (name == nullptr) return;
        Fail(key, fmt::format("{} names the column \"{}\", and without data.header = true columns have no names: give "
                              "that, or the column's number, from 0",
                              key, *name));
      };
      using Value = std::decay_t<decltype(value)>;
      if constexpr (std::is_same_v<Value, Column>) {
        check(value);
      } else if constexpr (std::is_same_v<Value, std::vector<Column>>) {
        for (const Column& column : value) check(column);
      }
    });
  }

  void CheckModel() const {
    const ModelOptions& model = options_.model;
    if (model.name != ModelName::kWideResNet) return;
    if (ImageSide(options_.data) == 0) {
      Fail("model.name",
           fmt::format("model.name = wide_resnet takes images, and data.name = {} is a table: give model.name = mlp",
                       NameOf(options_.data.name)),
           "data.name");
    }
    if (model.depth % 6 == 4) return;
    const int64_t below = model.depth - (model.depth + 2) % 6;
    Fail("model.depth", fmt::format("model.depth = {} is not 6n+4 for a whole n; the nearest are {} and {}",
                                    model.depth, below, below + 6));
  }

  void CheckWorkers() const {
    const int64_t ghost_batch = options_.model.ghost_batch;
    if (options_.run.workers != Workers::kGrow || options_.run.worker_batch.value_or(ghost_batch) >= ghost_batch)
      return;
    Fail("run.worker_batch",
         fmt::format("run.worker_batch = {} is below model.ghost_batch = {}, the least that a worker can compute",
                     *options_.run.worker_batch, ghost_batch));
  }

  void CheckGraphs() const {
    if (!options_.run.gpu_graphs.value_or(false) || !options_.run.reproducible) return;
    Fail("run.gpu_graphs",
         "run.gpu_graphs = true with run.reproducible = true: sums in a fixed order are not made of graphs; leave one "
         "of "
         "them out");
  }

  void CheckMomentum() const {
    const ReferenceOptions& reference = options_.reference;
    const ScheduleOptions& schedule = options_.schedule;
    if (options_.optimizer.name == OptimizerName::kSgd) {
      RequireNoMomentum("reference.momentum", reference.momentum);
      RequireNoMomentum("schedule.momentum", schedule.momentum.value_or(0));
      for (const auto& [position, momentum] : reference.momentum_table) {
        RequireNoMomentum("reference.momentum_table", momentum);
      }
      for (const auto& [position, momentum] : schedule.momentum_table) {
        RequireNoMomentum("schedule.momentum_table", momentum);
      }
    }

    if (schedule.rule == schedule::ScalingRule::kLinear) return;
    const std::string why = fmt::format("under schedule.rule = {} the momentum of {} does not trade against the batch",
                                        NameOf(schedule.rule), NameOf(options_.optimizer.name));
    if (schedule.momentum.value_or(reference.momentum) != reference.momentum) {
      Fail("schedule.momentum", fmt::format("schedule.momentum = {} must equal reference.momentum = {}: {}",
                                            *schedule.momentum, reference.momentum, why));
    }
    const bool table_is_stated = schedule.momentum || !schedule.momentum_table.empty();
    if (table_is_stated && schedule.momentum_table != reference.momentum_table) {
      Fail(schedule.momentum_table.empty() ? "schedule.momentum" : "schedule.momentum_table",
           fmt::format("schedule.momentum_table must equal reference.momentum_table: {}", why));
    }
  }

  bool IsAdam() const {
    const OptimizerName name = options_.optimizer.name;
    return name == OptimizerName::kAdam || name == OptimizerName::kAdamW || name == OptimizerName::kLamb;
  }

  void CheckRule() const {
    if (options_.schedule.rule == schedule::ScalingRule::kLinear || IsAdam()) return;
    Fail("schedule.rule",
         fmt::format("schedule.rule = {0} with optimizer.name = {1}: {0} is a rule for the Adam family; give rule = "
                     "linear, or optimizer.name = adam, adamw or lamb",
                     NameOf(options_.schedule.rule), NameOf(options_.optimizer.name)));
  }

  void CheckMomentumBuffer() const {
    const schedule::MomentumBuffer buffer = options_.schedule.momentum_buffer;
    const auto refuse = [&](std::string_view why) {
      Fail("schedule.momentum_buffer", fmt::format("schedule.momentum_buffer = {} with optimizer.name = {}, {}",
                                                   NameOf(buffer), NameOf(options_.optimizer.name), why));
    };
    if (buffer != schedule::MomentumBuffer::kKeep && options_.optimizer.name == OptimizerName::kSgd) {
      refuse("which has no such buffer: leave it out, or give optimizer.name = momentum or nesterov");
    }
    if (buffer == schedule::MomentumBuffer::kRescale && IsAdam()) {
      refuse("whose buffer is a mean, with one steady state at any momentum: give keep or reset");
    }
  }

  void RequireNoMomentum(std::string_view key, double momentum) const {
    if (momentum == 0) return;
    Fail(key,
         fmt::format("{} = {} with optimizer.name = sgd, which has no momentum: give 0, or optimizer.name = momentum "
                     "or nesterov",
                     key, momentum));
  }

  void CheckRates() const {
    const ReferenceOptions& reference = options_.reference;
    if (reference.final_learning_rate > reference.learning_rate &&
        !UnmetConditions(options_).contains("reference.final_learning_rate")) {
      Fail("reference.final_learning_rate",
           fmt::format("reference.final_learning_rate = {} is above reference.learning_rate = {}, the largest",
                       reference.final_learning_rate, reference.learning_rate));
    }
    if (reference.warmup_start != 0 && reference.warmup.amount == 0) {
      Fail("reference.warmup_start",
           fmt::format("reference.warmup_start = {} without a reference.warmup: give its length, "
                       "such as \"5ep\"",
                       reference.warmup_start));
    }
    if (reference.shape == Shape::kOneCycle && reference.warmup.amount != 0) {
      Fail("reference.warmup", "reference.warmup with reference.shape = one_cycle, which has its own: reference.rise");
    }
  }

  void CheckBoundaries() const {
    const auto& boundaries = options_.reference.boundaries;
    if (boundaries.empty()) {
      Fail("reference.shape", "reference.shape = step needs reference.boundaries, such as [\"60ep\", \"120ep\"]");
    }
    if (boundaries.front().amount == 0) {
      Fail("reference.boundaries", "reference.boundaries begins with 0: give the lower learning rate from the start");
    }
    for (size_t i = 1; i < boundaries.size(); ++i) {
      RequireOrder("reference.boundaries", boundaries[i - 1], boundaries[i]);
    }
    for (const Position& boundary : boundaries) RequireBeforeEnd("reference.boundaries", boundary);
  }

  void CheckRateTable() const {
    const PositionTable& table = options_.reference.table;
    if (table.empty()) {
      Fail("reference.shape",
           "reference.shape = table needs reference.table, such as [[\"0ep\", 0.1], [\"60ep\", 0.02]]");
    }
    if (table.front().first.amount != 0) {
      Fail("reference.table",
           fmt::format("reference.table begins at {}: its first position must be 0", ToText(table.front().first)));
    }
    if (std::ranges::all_of(table, [](const auto& entry) { return entry.second == 0; })) {
      Fail("reference.table", "reference.table: every learning rate is 0");
    }
    RequireTableOrder("reference.table", table);
  }

  void CheckMomentumTable(std::string_view key, const PositionTable& table) const {
    if (!table.empty()) RequireTableOrder(key, table);
  }

  // The last position may be the end itself: a straight line goes there, and logs end so.
  void RequireTableOrder(std::string_view key, const PositionTable& table) const {
    for (size_t i = 1; i < table.size(); ++i) RequireOrder(key, table[i - 1].first, table[i].first);
    if (Compare(table.back().first, options_.schedule.length) == std::partial_ordering::greater) {
      FailBeyondEnd(key, table.back().first);
    }
  }

  void RequireLength(std::string_view key, const Position& length, std::string_view hint) const {
    if (Compare(length, Position{0, length.unit}) == std::partial_ordering::greater) return;
    const std::string rounded =
        length.amount == 0 ? "" : fmt::format(", less than one of {} training examples", *train_examples_);
    Fail(key, fmt::format("{} = {}{}: {}", key, ToText(length), rounded, hint), "reference.shape");
  }

  void RequireOrder(std::string_view key, const Position& before, const Position& after) const {
    const std::partial_ordering order = Compare(before, after);
    if (order == std::partial_ordering::less || order == std::partial_ordering::unordered) return;
    Fail(key, fmt::format("{}: positions must increase, but {} comes after {}", key, ToText(after), ToText(before)));
  }

  void RequireBeforeEnd(std::string_view key, const Position& position) const {
    const std::partial_ordering order = Compare(position, options_.schedule.length);
    if (order == std::partial_ordering::equivalent || order == std::partial_ordering::greater)
      FailBeyondEnd(key, position);
  }

  [[noreturn]] void FailBeyondEnd(std::string_view key, const Position& position) const {
    Fail(key, fmt::format("{}: {} is not before the end of training, schedule.length = {}", key, ToText(position),
                          ToText(options_.schedule.length)));
  }

  // Unordered where it depends on the size of the training set and that is not known.
  std::partial_ordering Compare(const Position& a, const Position& b) const {
    if (train_examples_) {
      const Scale scale = ScaleOf(options_, *train_examples_);
      return a.Resolve(scale) <=> b.Resolve(scale);
    }
    if (a.unit != b.unit) return std::partial_ordering::unordered;
    return a.amount <=> b.amount;
  }

  const Options& options_;
  const std::optional<int64_t> train_examples_;
};

}  // namespace

void Validate(const Options& options) { Validator(options, std::nullopt).CheckAll(); }

void ValidatePositions(const Options& options, int64_t train_examples) {
  Validator(options, train_examples).CheckPositions();
}

std::string WithPlace(const Options& options, const std::string& message) {
  std::map<size_t, std::string> named;  // by where it stands in the message
  for (const std::string& key : AllKeys()) {
    const size_t found = message.find(key);
    if (found == std::string::npos) continue;
    std::string& longest = named[found];  // schedule.momentum is the beginning of schedule.momentum_table
    if (key.size() > longest.size()) longest = key;
  }
  if (named.empty()) return message;
  const auto stated =
      std::ranges::find_if(named, [&](const auto& name) { return options.places.contains(name.second); });
  const auto place = options.places.find(stated == named.end() ? "" : stated->second);
  if (place == options.places.end() || message.starts_with(place->second)) return message;
  return fmt::format("{}: {}", place->second, message);
}

}  // namespace crescendo::config
