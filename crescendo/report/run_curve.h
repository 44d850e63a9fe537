// A run log, short enough to draw: what happened along the run in some hundred points.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <vector>

#include "crescendo/report/run_log.h"

namespace crescendo::report {

// Training loss, the mean over the updates since the point before, weighted by their examples.
struct LossPoint {
  double examples = 0;  // seen at its end
  double updates = 0;   // done at its end
  double seconds = 0;
  double loss = 0;
};

// What an update used. Constant until the next point.
struct SettingPoint {
  double examples = 0;  // seen before it
  double updates = 0;   // done before it
  double seconds = 0;
  double learning_rate = 0;
  double global_batch = 0;
  double momentum = 0;
  double noise_scale = 0;  // in the form held equal, as the reference's below
  double noise_scale_exact = 0;
  double reference_noise_scale = 0;
};

// What training took at one batch.
struct BatchCost {
  double updates = 0;
  double examples = 0;
  double seconds = 0;
};

struct RunCurve {
  RunSummary summary;
  std::vector<LossPoint> losses;
  std::vector<SettingPoint> settings;
  std::map<int64_t, BatchCost> costs;  // by global batch
};

// Loss and setting of every update where there are few, else at least `points` of each, evenly over the planned
// examples, and every change of batch. UserError where it is no run log.
RunCurve ReadRunCurve(const std::filesystem::path& path, int64_t points = 240);

}  // namespace crescendo::report
