#include "crescendo/report/shared_gpu.h"

#include <algorithm>
#include <cstddef>
#include <ctime>
#include <string>

namespace crescendo::report {
namespace {

struct Occupied {
  size_t run = 0;
  std::string gpu;
  double begin = 0;  // seconds since 1970
  double end = 0;
};

// -1 where it is no time. `started`: UTC, ISO 8601.
double SecondsSince1970(const std::string& started) {
  std::tm time{};
  if (::strptime(started.c_str(), "%Y-%m-%dT%H:%M:%SZ", &time) == nullptr) return -1;
  return static_cast<double>(::timegm(&time));
}

void AddParts(size_t number, const RunCurve& run, std::vector<Occupied>& parts) {
  const RunSummary& log = run.summary;
  const double end = log.footer ? log.footer->train_seconds : run.losses.empty() ? 0 : run.losses.back().seconds;
  // Trained by the begin of this resumption, or by the end.
  const auto trained = [&](size_t resume) {
    return resume < log.resumes.size() ? log.resumes[resume].train_seconds : end;
  };
  const auto add = [&](const Sitting& sitting, double from, double until) {
    const double begin = SecondsSince1970(sitting.started);
    if (sitting.gpu_id.empty() || begin < 0 || until <= from) return;
    parts.push_back({number, sitting.gpu_id, begin, begin + until - from});
  };
  // Of a branch the seconds of its parent are counted in; where a log was lost, the first part is not what is told.
  const bool is_known =
      log.header.branched_from.empty() && (log.resumes.empty() || log.resumes.front().started != log.header.started);
  if (is_known) add(log.header, 0, trained(0));
  for (size_t i = 0; i < log.resumes.size(); ++i) add(log.resumes[i], trained(i), trained(i + 1));
}

}  // namespace

bool ShareAGpu(const std::vector<const RunCurve*>& runs) {
  std::vector<Occupied> parts;
  for (size_t i = 0; i < runs.size(); ++i) AddParts(i, *runs[i], parts);
  for (const Occupied& a : parts) {
    const auto overlaps = [&](const Occupied& b) {
      return a.run != b.run && a.gpu == b.gpu && a.begin < b.end && b.begin < a.end;
    };
    if (std::ranges::any_of(parts, overlaps)) return true;
  }
  return false;
}

}  // namespace crescendo::report
