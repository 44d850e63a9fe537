// What a run writes about itself while it trains: run.jsonl and the event files.
#pragma once

#include "crescendo/report/event_log.h"
#include "crescendo/report/run_log.h"
#include "crescendo/train/observer.h"
#include "crescendo/train/run_folder.h"

namespace crescendo::train {

class Archive : public Observer {
 public:
  explicit Archive(const RunFolder& folder, report::RunLog::Open open = report::RunLog::Open::kReplace)
      : log_(folder.log(), open), events_(folder.events()) {}
  void OnHeader(const report::RunHeader& header) override { log_.Header(header); }
  void OnResume(const report::ResumeRecord& record) override { log_.Resume(record); }
  void OnUpdate(const report::UpdateRecord& record) override {
    log_.Update(record);
    events_.Update(record);
  }
  void OnEvaluation(const report::EvaluationRecord& record) override {
    log_.Evaluation(record);
    events_.Evaluation(record);
  }
  void OnFooter(const report::RunFooter& footer) override {
    log_.Footer(footer);
    events_.Flush();
  }
  void Flush() {
    log_.Flush();
    events_.Flush();
  }

 private:
  report::RunLog log_;
  report::EventLog events_;
};

}  // namespace crescendo::train
