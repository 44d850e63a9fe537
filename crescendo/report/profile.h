// Where the time of an update goes, as plain values, and how it is shown. All numbers are of one update: means over
// those that were measured.
//
// An update is data, forward, backward, reduce and optimizer, and what is none of them: overhead. A layer's share of
// the roofline (Williams, Waterman & Patterson 2009) is the time it would take at the machine's measured speed,
// whichever bounds it of arithmetic and memory, over the time it took.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "crescendo/base/enum_names.h"

namespace crescendo::report {

// What a machine reached: the bounds of everything else.
struct Roofline {
  double flops_per_second = 0;  // in a product of large square matrices
  double bytes_per_second = 0;  // read and written, in a copy of memory too large for the processor's caches
};

struct Work {
  double seconds = 0;
  double flops = 0;  // of products and convolutions, a multiplication and an addition being two; else 0
  double bytes = 0;  // of inputs and outputs, each once; parameters and gradients are among them

  Work& operator+=(const Work& other);
};

// 0 for no work.
double SecondsAt(const Roofline& roofline, const Work& work);

struct ProfiledPart {
  std::string name;
  double seconds = 0;
};

struct ProfiledLayer {
  std::string name;
  std::string kind;
  std::vector<int64_t> weight;  // its shape
  std::vector<int64_t> output;  // of one example
  double calls = 0;             // one for each micro-batch
  Work forward;
  Work backward;
};

struct Profile {
  std::string config;   // the file
  std::string device;   // "cpu (AMD EPYC, 2 threads; ...)"
  int64_t workers = 1;  // the numbers are those of the first
  int64_t threads = 1;
  std::string precision;
  int64_t phase = 0;  // of the plan, from 1
  int64_t phases = 1;
  int64_t begin_example = 0;  // of that phase
  int64_t global_batch = 0;
  int64_t micro_batch = 0;

  int64_t updates = 0;  // measured
  double seconds = 0;
  double fastest_seconds = 0;
  double slowest_seconds = 0;
  std::vector<ProfiledPart> parts;  // in their order; they add up to `seconds`

  // Layers are measured in updates of their own, which watching slows down.
  double seconds_with_layers = 0;
  std::vector<ProfiledLayer> layers;
  double forward_between_layers = 0;  // seconds
  double backward_between_layers = 0;

  Roofline roofline;
};

enum class ProfileFormat { kTable, kJson };

std::string ProfileTable(const Profile& profile);

// One JSON object (docs/formats/profile.md).
std::string ProfileJson(const Profile& profile);

}  // namespace crescendo::report

namespace crescendo {

template <>
inline constexpr auto kEnumCases<report::ProfileFormat> = std::to_array<EnumCase<report::ProfileFormat>>({
    {report::ProfileFormat::kTable, "table", "aligned columns for the terminal"},
    {report::ProfileFormat::kJson, "json", "one JSON object"},
});

}  // namespace crescendo
