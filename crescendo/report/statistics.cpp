#include "crescendo/report/statistics.h"

#include <algorithm>
#include <boost/math/distributions/chi_squared.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <boost/math/quadrature/gauss_kronrod.hpp>
#include <cmath>
#include <limits>
#include <numeric>

#include "crescendo/base/error.h"
#include "crescendo/base/random.h"

namespace crescendo::report {
namespace {

constexpr double kConfidence = 0.95;
constexpr double kConfidenceOfTwoOneSided = 0.9;  // each of the two tests leaves out 5 % on its side
constexpr uint64_t kResamples = 10'000;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

double Mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Of the sample, squared.
double Variance(std::span<const double> values) {
  const double mean = Mean(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return squares / static_cast<double>(values.size() - 1);
}

// P(T <= t). A standard error of 0 makes t infinite, or not a number where the difference is 0 too.
double StudentBelow(double t, double degrees) {
  if (std::isnan(t)) return 0.5;
  if (std::isinf(t)) return t > 0 ? 1 : 0;
  return boost::math::cdf(boost::math::students_t(degrees), t);
}

double StudentQuantile(double probability, double degrees) {
  return boost::math::quantile(boost::math::students_t(degrees), probability);
}

double NormalBelow(double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); }

// The mean of `chance` over what the standard error may be estimated as, as a multiple of the true one, up to `limit`.
template <class Chance>
double OverEstimates(double degrees, double limit, const Chance& chance) {
  const boost::math::chi_squared distribution(degrees);
  const auto weighted = [&](double multiple) {
    const double density = 2 * degrees * multiple * boost::math::pdf(distribution, degrees * multiple * multiple);
    return density * chance(multiple);
  };
  // Beyond ten deviations there is nothing to be found, and a narrow peak would be overlooked in a wide range.
  const double deviation = 1 / std::sqrt(2 * degrees);
  const double low = std::max(0.0, 1 - 10 * deviation);
  const double high = std::min(limit, 1 + 10 * deviation);
  if (high <= low) return 0;
  const double power = boost::math::quadrature::gauss_kronrod<double, 31>::integrate(weighted, low, high, 10, 1e-9);
  return std::clamp(power, 0.0, 1.0);
}

Interval Around(double center, double standard_error, double degrees, double confidence = kConfidence) {
  const double reach = StudentQuantile((1 + confidence) / 2, degrees) * standard_error;
  return {center - reach, center + reach};
}

Interval Bootstrap(std::span<const double> values, uint64_t seed) {
  const uint64_t key = RandomKey(seed, Stream::kBootstrap);
  std::vector<double> means(kResamples);
  for (uint64_t resample = 0; resample < kResamples; ++resample) {
    double sum = 0;
    for (uint32_t draw = 0; draw < values.size(); ++draw) {
      sum += values[RandomBelow(RandomBits(key, resample, draw), values.size())];
    }
    means[resample] = sum / static_cast<double>(values.size());
  }
  std::sort(means.begin(), means.end());
  return {Quantile(means, (1 - kConfidence) / 2), Quantile(means, (1 + kConfidence) / 2)};
}

Difference Tested(double value, double standard_error, double degrees) {
  Difference difference;
  difference.value = value;
  difference.standard_error = standard_error;
  difference.degrees_of_freedom = degrees;
  difference.interval = Around(value, standard_error, degrees);
  difference.t = value / standard_error;
  difference.p = 2 * StudentBelow(-std::abs(difference.t), degrees);
  return difference;
}

}  // namespace

double Quantile(std::vector<double> values, double q) {
  CRESCENDO_ASSERT(!values.empty() && q >= 0 && q <= 1, "a quantile is of values, between 0 and 1");
  std::sort(values.begin(), values.end());
  const double place = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, values.size() - 1);
  return std::lerp(values[below], values[above], place - static_cast<double>(below));
}

Summary Summarize(std::span<const double> values, uint64_t bootstrap_seed) {
  CRESCENDO_ASSERT(!values.empty(), "a summary is of at least one value");
  Summary summary;
  summary.n = static_cast<int64_t>(values.size());
  summary.mean = Mean(values);
  summary.median = Quantile({values.begin(), values.end()}, 0.5);
  summary.worst = *std::min_element(values.begin(), values.end());
  summary.deviation = kNaN;
  summary.t_interval = summary.bootstrap_interval = {kNaN, kNaN};
  if (summary.n < 2) return summary;
  summary.deviation = std::sqrt(Variance(values));
  const auto n = static_cast<double>(summary.n);
  summary.t_interval = Around(summary.mean, summary.deviation / std::sqrt(n), n - 1);
  summary.bootstrap_interval = Bootstrap(values, bootstrap_seed);
  return summary;
}

Difference WelchDifference(std::span<const double> a, std::span<const double> b, double step) {
  CRESCENDO_ASSERT(a.size() >= 2 && b.size() >= 2, "Welch's test is of two values and more in each sample");
  const auto n_a = static_cast<double>(a.size());
  const auto n_b = static_cast<double>(b.size());
  const double part_a = Variance(a) / n_a;
  const double part_b = Variance(b) / n_b;
  const double sum = part_a + part_b;
  // Welch-Satterthwaite; of two samples without any deviation it is 0/0.
  const double degrees =
      sum > 0 ? sum * sum / (part_a * part_a / (n_a - 1) + part_b * part_b / (n_b - 1)) : n_a + n_b - 2;
  return Tested(Mean(a) - Mean(b), std::max(std::sqrt(sum), step * std::sqrt((1 / n_a + 1 / n_b) / 12)), degrees);
}

Difference PairedDifference(std::span<const double> a, std::span<const double> b, double step) {
  CRESCENDO_ASSERT(a.size() == b.size() && a.size() >= 2, "a paired test is of two pairs and more");
  std::vector<double> gaps(a.size());
  std::transform(a.begin(), a.end(), b.begin(), gaps.begin(), std::minus<>());
  const auto n = static_cast<double>(gaps.size());
  return Tested(Mean(gaps), std::max(std::sqrt(Variance(gaps) / n), step * std::sqrt(2 / n / 12)), n - 1);
}

Equivalence TestEquivalence(const Difference& difference, double margin) {
  CRESCENDO_ASSERT(margin > 0, "the margin of an equivalence is above 0");
  Equivalence equivalence;
  const double error = difference.standard_error;
  equivalence.interval = Around(difference.value, error, difference.degrees_of_freedom, kConfidenceOfTwoOneSided);
  equivalence.p_above = StudentBelow(-(difference.value + margin) / error, difference.degrees_of_freedom);
  equivalence.p_below = StudentBelow((difference.value - margin) / error, difference.degrees_of_freedom);
  equivalence.p = std::max(equivalence.p_above, equivalence.p_below);
  return equivalence;
}

std::vector<double> HolmAdjusted(std::span<const double> p_values) {
  std::vector<size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p_values[a] < p_values[b]; });
  std::vector<double> adjusted(p_values.size());
  double largest = 0;
  for (size_t rank = 0; rank < order.size(); ++rank) {
    largest = std::max(largest, static_cast<double>(order.size() - rank) * p_values[order[rank]]);
    adjusted[order[rank]] = std::min(1.0, largest);
  }
  return adjusted;
}

double PowerOfDifference(double difference, double standard_error, double degrees_of_freedom, double alpha) {
  const double critical = StudentQuantile(1 - alpha / 2, degrees_of_freedom);
  const double effect = difference / standard_error;
  return OverEstimates(degrees_of_freedom, HUGE_VAL, [&](double multiple) {
    return NormalBelow(effect - critical * multiple) + NormalBelow(-effect - critical * multiple);
  });
}

double PowerOfEquivalence(double difference, double margin, double standard_error, double degrees_of_freedom,
                          double alpha) {
  const double critical = StudentQuantile(1 - alpha, degrees_of_freedom);
  const double above = (margin - difference) / standard_error;
  const double below = (-margin - difference) / standard_error;
  return OverEstimates(degrees_of_freedom, margin / standard_error / critical, [&](double multiple) {
    return NormalBelow(above - critical * multiple) - NormalBelow(below + critical * multiple);
  });
}

}  // namespace crescendo::report
