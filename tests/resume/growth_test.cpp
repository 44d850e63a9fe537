// A run whose workers grow is stopped and resumed, in any phase, with as many of them as the phase has.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <atomic>

#include "crescendo/distributed/test_support.h"
#include "crescendo/report/run_log.h"
#include "crescendo/train/digest.h"
#include "crescendo/train/session.h"
#include "tests/resume/run_files.h"
#include "tests/support/temporary_folder.h"

namespace crescendo {
namespace {

namespace fs = std::filesystem;
using train::RunFolder;

// Remembers how many workers computed each update, and how many began.
struct Watcher : train::Observer {
  void OnWorkers(int64_t workers, int64_t /*started*/) override {
    if (first == 0) first = workers;
    last = workers;
  }
  int64_t first = 0;  // 0: all
  int64_t last = 0;
};

// With so many workers, each a thread.
Watcher ResumeWith(const fs::path& folder, int64_t workers, const std::vector<std::string>& overrides) {
  Watcher watcher;
  distributed::RunPlaces(workers, [&](const distributed::WorkerPlace& place) {
    const std::atomic<int> stop = 0;
    const RunFolder run(folder);
    const bool writes = place.rank == 0;
    const auto next = train::PrepareResume(
        run, overrides, [](const std::string&) {}, place);
    std::vector<train::Observer*> watchers;
    if (writes) watchers.push_back(&watcher);
    const report::RunFooter footer = train::ResumeIn(run, next.value(), watchers, stop, place);
    EXPECT_EQ(footer.end, report::RunEnd::kFinished);
  });
  return watcher;
}

// Phases begin with updates 0, 25 and 38 and have work for 1, 2 and 3 workers.
TEST(ResumedGrowth, GoesOnWithTheWorkersOfThePhase) {
  at::set_num_threads(1);
  const support::TemporaryFolder folder;
  support::TrainHere(folder / "whole", {"run.reproducible=true"});
  const train::RunDigest whole = train::DigestRun(folder / "whole");
  struct Case {
    int64_t updates;  // done when it was stopped
    int64_t first;    // workers that then begin; 0: all of them
    int64_t last;
  };
  for (const Case& c :
       {Case{12, 1, 3}, Case{24, 1, 3}, Case{25, 2, 3}, Case{30, 2, 3}, Case{38, 0, 0}, Case{44, 0, 0}}) {
    SCOPED_TRACE(c.updates);
    support::CopyAsKilledAfter(folder / "whole", folder / "resumed", c.updates);
    // How many workers there are may change at every stop, and so may what decides it.
    const Watcher seen = ResumeWith(folder / "resumed", 3, {"run.workers=grow", "run.worker_batch=8"});
    EXPECT_EQ(seen.first, c.first);
    EXPECT_EQ(seen.last, c.last);
    const train::RunDigest resumed = train::DigestRun(folder / "resumed");
    EXPECT_EQ(resumed.weights, whole.weights);
    EXPECT_EQ(resumed.all, whole.all);
    EXPECT_EQ(report::ReadRunLog(RunFolder(folder / "resumed").log()).logged_updates, 46);
  }
}

// Stopped as a run of growing workers, in its last phase, and gone on with by one.
TEST(ResumedGrowth, OneWorkerGoesOnWithWhatThreeHaveLeft) {
  at::set_num_threads(1);
  const support::TemporaryFolder folder;
  const std::vector<std::string> growing = {"run.workers=grow", "run.worker_batch=8"};
  support::TrainHere(folder / "whole", {"run.reproducible=true"});
  support::CopyAsKilledAfter(folder / "whole", folder / "grown", 5);
  ResumeWith(folder / "grown", 3, growing);
  for (const int64_t updates : {27, 40}) {  // checkpoints that two and three workers have made
    support::CopyAsKilledAfter(folder / "grown", folder / "alone", updates);
    support::ResumeHere(folder / "alone");
    EXPECT_EQ(train::DigestRun(folder / "alone").weights, train::DigestRun(folder / "whole").weights) << updates;
  }
}

}  // namespace
}  // namespace crescendo
