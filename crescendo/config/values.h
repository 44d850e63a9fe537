// Values as people write them in a config: "60ep", "10.24Msp", "500ba", "N/10". They get their meaning in examples once
// the size N of the training set is known.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "crescendo/schedule/corner_cases.h"
#include "crescendo/schedule/units.h"

namespace crescendo::config {

// What positions are counted in, besides examples.
struct Scale {
  int64_t train_examples = 0;   // N: of an epoch
  int64_t reference_batch = 0;  // of an update of the reference
  schedule::EpochTail epoch_tail = schedule::EpochTail::kCarry;
};

// A place or a length in training: "60ep" (epochs, may be fractional), in samples "3000sp", "40ksp", "10.24Msp",
// "1Gsp", or "500ba" (batches: whole updates of the reference, from the beginning of training; as a length, that of the
// first so many).
struct Position {
  enum class Unit { kEpochs, kExamples, kBatches };
  double amount = 0;
  Unit unit = Unit::kEpochs;

  // In examples, rounded to the nearest.
  schedule::Examples Resolve(const Scale& scale) const;
  friend bool operator==(const Position&, const Position&) = default;
};

// A limit on the global batch: "none" (that is N), "N/10", or a number of examples.
struct BatchLimit {
  enum class Kind { kNone, kFraction, kExamples };
  Kind kind = Kind::kFraction;
  int64_t value = 10;  // the divisor of N, or examples

  int64_t Resolve(int64_t train_examples) const;  // at least 1, at most N
  friend bool operator==(const BatchLimit&, const BatchLimit&) = default;
};

// A column of a table: its number, from 0 and below 0 from the end, or its name in the table's header.
using Column = std::variant<int64_t, std::string>;

// Values from positions on: [["0ep", 0.1], ["60ep", 0.02]].
using PositionTable = std::vector<std::pair<Position, double>>;

// nullopt where the text is not of the form. A limit in examples is no text but a number.
std::optional<Position> ParsePosition(std::string_view text);
std::optional<BatchLimit> ParseBatchLimit(std::string_view text);

// The shortest text that parses to the same value.
std::string ToText(const Position& position);
std::string ToText(const BatchLimit& limit);

}  // namespace crescendo::config
