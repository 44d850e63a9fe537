// Who watches a run. An observer sees const records and returns nothing: watching cannot change what is learned.
#pragma once

#include "crescendo/report/record.h"

namespace crescendo::train {

class Observer {
 public:
  virtual ~Observer() = default;
  virtual void OnHeader(const report::RunHeader& /*header*/) {}
  virtual void OnUpdate(const report::UpdateRecord& /*record*/) {}
  virtual void OnEvaluation(const report::EvaluationRecord& /*record*/) {}
  virtual void OnFooter(const report::RunFooter& /*footer*/) {}
};

}  // namespace crescendo::train
