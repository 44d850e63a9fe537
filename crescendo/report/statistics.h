// What a handful of runs tells, and how sure it is: numbers in, numbers out.
//
//   Summary grow = Summarize(accuracies);                      // mean, deviation, intervals, median, worst
//   Difference gap = PairedDifference(grow_runs, decay_runs);  // same seeds in the same places; else WelchDifference
//   Equivalence same = TestEquivalence(gap, 0.3);              // two one-sided tests (TOST)
//   std::vector<double> adjusted = HolmAdjusted(p_values);     // for several variants against one reference
//
// Intervals and tests take the values for independent draws from a normal distribution, which the final accuracies of
// seeds resemble. Nothing here is random but the bootstrap, whose draws follow from its seed. Samples whose values are
// all equal have deviation 0, and the tests take them at their word (p is 0, 1/2 or 1) unless they are told the step
// between possible values.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace crescendo::report {

struct Interval {
  double low = 0;
  double high = 0;
};

// Of one sample. With one value there is no deviation and no interval: they are NaN.
struct Summary {
  int64_t n = 0;
  double mean = 0;
  double deviation = 0;         // of the sample, n - 1 in the denominator
  Interval t_interval;          // of the mean, 95 %, Student
  Interval bootstrap_interval;  // of the mean, 95 %, percentiles of resampled means; too narrow below about 10 values
  double median = 0;
  double worst = 0;  // the smallest: larger is better here
};

// REQUIRES a value.
Summary Summarize(std::span<const double> values, uint64_t bootstrap_seed = 1);

// The q-th quantile, 0 <= q <= 1, with straight lines between the sorted values (NumPy's default). REQUIRES a value.
double Quantile(std::vector<double> values, double q);

// mean(a) - mean(b), and Student's test of whether it is 0.
struct Difference {
  double value = 0;
  double standard_error = 0;
  double degrees_of_freedom = 0;
  Interval interval;  // 95 %
  double t = 0;
  double p = 1;  // two-sided
};

// Welch (1947): independent samples whose deviations may differ. REQUIRES two values in each. `step`: values are
// multiples of this, so the standard error is taken for at least what rounding to it makes (step / sqrt(12) each); a
// few values that happen to be equal would else claim to be certain.
Difference WelchDifference(std::span<const double> a, std::span<const double> b, double step = 0);

// a[i] and b[i] belong together. REQUIRES two pairs.
Difference PairedDifference(std::span<const double> a, std::span<const double> b, double step = 0);

// Two one-sided tests (Schuirmann 1987). Where p is small, the difference lies within -margin and margin.
struct Equivalence {
  Interval interval;   // of the difference, 90 %: within -margin and margin exactly where p is below 5 %
  double p_above = 1;  // of "the difference is -margin or below"
  double p_below = 1;  // of "the difference is margin or above"
  double p = 1;        // the larger
};

// REQUIRES margin > 0.
Equivalence TestEquivalence(const Difference& difference, double margin);

// Holm (1979): multiplied so that the chance of one false finding among all stays what it was for one. In the given
// order.
std::vector<double> HolmAdjusted(std::span<const double> p_values);

// The chance that the two-sided test at level alpha finds this true difference. Like the next, exact: an integral over
// what the standard error may be estimated as. REQUIRES standard_error > 0.
double PowerOfDifference(double difference, double standard_error, double degrees_of_freedom, double alpha);

// The chance that TOST at level alpha finds equivalence within the margin where `difference` is the true one.
double PowerOfEquivalence(double difference, double margin, double standard_error, double degrees_of_freedom,
                          double alpha);

}  // namespace crescendo::report
