#include "crescendo/config/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "crescendo/base/error.h"

namespace crescendo::config {
namespace {

struct Suffix {
  std::string_view text;
  Position::Unit unit;
  int power_of_ten;
};

// The longer first, since "sp" ends all of the samples'.
constexpr std::array<Suffix, 6> kSuffixes = {{
    {"Gsp", Position::Unit::kExamples, 9},
    {"Msp", Position::Unit::kExamples, 6},
    {"ksp", Position::Unit::kExamples, 3},
    {"sp", Position::Unit::kExamples, 0},
    {"ep", Position::Unit::kEpochs, 0},
    {"ba", Position::Unit::kBatches, 0},
}};

bool IsDigit(char c) { return '0' <= c && c <= '9'; }

// A decimal without sign or exponent, times 10^power_of_ten. The power goes into the text before it is read, so that
// 0.07Msp is 70,000 and not 0.07 * 1e6 = 70,000.00000000001.
std::optional<double> ParseDecimal(std::string_view text, int power_of_ten) {
  const bool is_decimal = !text.empty() && IsDigit(text.front()) && IsDigit(text.back()) &&
                          std::all_of(text.begin(), text.end(), [](char c) { return IsDigit(c) || c == '.'; }) &&
                          std::count(text.begin(), text.end(), '.') <= 1;
  if (!is_decimal) return std::nullopt;
  const std::string scaled = fmt::format("{}e{}", text, power_of_ten);
  double value = 0;
  const auto [end, error] = std::from_chars(scaled.data(), scaled.data() + scaled.size(), value);
  if (error != std::errc() || end != scaled.data() + scaled.size()) return std::nullopt;
  return value;
}

// The shortest decimal without exponent whose value, times 10^power_of_ten, reads back as `value` >= 0.
std::string WriteDecimal(double value, int power_of_ten) {
  std::array<char, 64> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific);
  const std::string_view scientific(buffer.data(), static_cast<size_t>(end.ptr - buffer.data()));  // "1.0240e+07"
  const size_t e = scientific.find('e');
  std::string digits(scientific.substr(0, e));
  std::erase(digits, '.');
  int exponent = 0;
  const size_t exponent_begin = scientific[e + 1] == '+' ? e + 2 : e + 1;
  std::from_chars(scientific.data() + exponent_begin, scientific.data() + scientific.size(), exponent);

  int point = exponent + 1 - power_of_ten;  // how many digits stand before the decimal point
  if (point <= 0) {
    digits.insert(0, static_cast<size_t>(1 - point), '0');
    point = 1;
  }
  if (point >= static_cast<int>(digits.size())) {
    digits.append(static_cast<size_t>(point) - digits.size(), '0');
    return digits;
  }
  digits.insert(static_cast<size_t>(point), 1, '.');
  return digits;
}

// Of whole updates: where each epoch begins a batch, its last is smaller, or its last examples are left out.
double ExamplesOfBatches(double batches, const Scale& scale) {
  const auto of_epoch = static_cast<double>(scale.train_examples);
  const auto of_batch = static_cast<double>(scale.reference_batch);
  if (scale.epoch_tail == schedule::EpochTail::kCarry) return batches * of_batch;
  const bool drop = scale.epoch_tail == schedule::EpochTail::kDrop;
  const double per_epoch = drop ? std::max(1.0, std::floor(of_epoch / of_batch)) : std::ceil(of_epoch / of_batch);
  const double epochs = std::floor(batches / per_epoch);
  return epochs * of_epoch + (batches - epochs * per_epoch) * of_batch;
}

double ExamplesOf(const Position& position, const Scale& scale) {
  switch (position.unit) {
    case Position::Unit::kEpochs:
      return position.amount * static_cast<double>(scale.train_examples);
    case Position::Unit::kExamples:
      return position.amount;
    case Position::Unit::kBatches:
      return ExamplesOfBatches(position.amount, scale);
  }
  CRESCENDO_ASSERT(false, "a unit of positions without a meaning");
}

}  // namespace

schedule::Examples Position::Resolve(const Scale& scale) const {
  constexpr double kMost = 1e18;  // far below the largest int64_t, so that sums of positions stay in it too
  const double examples = ExamplesOf(*this, scale);
  if (!(examples >= 0 && examples <= kMost)) {
    throw UserError(
        fmt::format("{} is not a place in training: with {} training examples it is example {:.3g}, and "
                    "positions go from 0 to 1e18",
                    ToText(*this), scale.train_examples, examples));
  }
  return schedule::Examples{std::llround(examples)};
}

int64_t BatchLimit::Resolve(int64_t train_examples) const {
  switch (kind) {
    case Kind::kNone:
      return train_examples;
    case Kind::kFraction:
      return std::max<int64_t>(1, train_examples / value);
    case Kind::kExamples:
      return std::clamp<int64_t>(value, 1, train_examples);
  }
  CRESCENDO_ASSERT(false, "a kind of batch limit without a meaning");
}

std::optional<Position> ParsePosition(std::string_view text) {
  if (text == "0") return Position{0, Position::Unit::kEpochs};
  for (const Suffix& suffix : kSuffixes) {
    if (!text.ends_with(suffix.text)) continue;
    const auto amount = ParseDecimal(text.substr(0, text.size() - suffix.text.size()), suffix.power_of_ten);
    if (!amount || (suffix.unit == Position::Unit::kBatches && *amount != std::floor(*amount))) return std::nullopt;
    return Position{*amount, suffix.unit};
  }
  return std::nullopt;
}

std::optional<BatchLimit> ParseBatchLimit(std::string_view text) {
  if (text == "none") return BatchLimit{BatchLimit::Kind::kNone, 0};
  if (!text.starts_with("N/")) return std::nullopt;
  text.remove_prefix(2);
  BatchLimit limit{BatchLimit::Kind::kFraction, 0};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit.value);
  if (error != std::errc() || end != text.data() + text.size() || limit.value < 1) return std::nullopt;
  return limit;
}

std::string ToText(const Position& position) {
  if (position == Position{0, Position::Unit::kEpochs}) return "0";
  std::string shortest;
  for (const Suffix& suffix : kSuffixes) {
    if (suffix.unit != position.unit) continue;
    const std::string text = fmt::format("{}{}", WriteDecimal(position.amount, suffix.power_of_ten), suffix.text);
    if (shortest.empty() || text.size() < shortest.size()) shortest = text;  // of equals, the larger unit
  }
  return shortest;
}

std::string ToText(const BatchLimit& limit) {
  switch (limit.kind) {
    case BatchLimit::Kind::kNone:
      return "none";
    case BatchLimit::Kind::kFraction:
      return fmt::format("N/{}", limit.value);
    case BatchLimit::Kind::kExamples:
      return fmt::format("{}", limit.value);
  }
  CRESCENDO_ASSERT(false, "a kind of batch limit without a meaning");
}

}  // namespace crescendo::config
