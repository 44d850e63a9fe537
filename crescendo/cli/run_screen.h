// What the commands that train have in common: signals, what is shown, how it ends.
#pragma once

#include <atomic>
#include <string>

#include "crescendo/report/progress.h"
#include "crescendo/train/build.h"
#include "crescendo/train/observer.h"
#include "crescendo/train/run_folder.h"

namespace crescendo::cli {

// The first SIGINT, SIGTERM or SIGHUP asks the run to end with what it has, by making this non-zero; another one, a
// quarter of a second later or more, ends the program at once.
const std::atomic<int>& CatchStopSignals();

// Shows the records of the run on the terminal.
class RunScreen : public train::Observer {
 public:
  // `plan` must outlive it.
  explicit RunScreen(const schedule::Plan& plan) : progress_(plan) {}
  void OnHeader(const report::RunHeader& header) override { progress_.Header(header); }
  void OnResume(const report::ResumeRecord& record) override { progress_.Resume(record); }
  void OnUpdate(const report::UpdateRecord& record) override { progress_.Update(record); }
  void OnEvaluation(const report::EvaluationRecord& record) override { progress_.Evaluation(record); }
  void OnWorkers(int64_t workers, int64_t started) override;
  void OnWarning(const std::string& sentence) override { progress_.Note("crescendo: warning: " + sentence); }
  void OnFooter(const report::RunFooter& footer) override { progress_.Footer(footer); }

 private:
  report::Progress progress_;
};

// Says how the run ended; returns the exit code. Of several workers the first says it; the others only what went wrong.
int ReportEnd(const report::RunFooter& footer, const schedule::Plan& plan, const train::RunFolder& folder,
              const distributed::WorkerPlace& place);

}  // namespace crescendo::cli
