// Who watches a run. An observer sees const records and returns nothing: watching cannot change what is learned.
#pragma once

#include <cstdint>
#include <string>

#include "crescendo/report/record.h"
#include "crescendo/train/run_position.h"

namespace crescendo::train {

class Observer {
 public:
  virtual ~Observer() = default;
  virtual void OnHeader(const report::RunHeader& /*header*/) {}
  virtual void OnResume(const report::ResumeRecord& /*record*/) {}
  virtual void OnUpdate(const report::UpdateRecord& /*record*/) {}
  virtual void OnEvaluation(const report::EvaluationRecord& /*record*/) {}
  // Between two updates, when all records are out: model and optimizer are as `position` says. After every update, but
  // where losses are left on the device (run.gpu_graphs) only where they have been read.
  virtual void OnBoundary(const RunPosition& /*position*/) {}
  // Where not all workers that were started compute from the start: how many do from here on.
  virtual void OnWorkers(int64_t /*workers*/, int64_t /*started*/) {}
  virtual void OnWarning(const std::string& /*sentence*/) {}
  virtual void OnFooter(const report::RunFooter& /*footer*/) {}
};

}  // namespace crescendo::train
