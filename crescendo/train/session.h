// One training run from options, or from a checkpoint, to a folder: the parts, the observers, checkpoints, weights.
#pragma once

#include <atomic>
#include <filesystem>

#include "crescendo/config/options.h"
#include "crescendo/report/record.h"
#include "crescendo/train/build.h"
#include "crescendo/train/observer.h"
#include "crescendo/train/resume.h"
#include "crescendo/train/run_folder.h"

namespace crescendo::train {

// Trains `parts` into `folder`, which must be fresh (RunFolder::Create). `watchers` also see the records. `stop`
// becomes a signal's number when the run is to end with what it has; where run.micro_batch was still being measured,
// that is an untrained state, and going on from it measures anew. Of several workers (parts.group) only the first
// writes into the folder and calls the watchers. However the run ends, what can be saved is saved, and the
// footer says what happened; RunError where not even a start can be made. So it is for all below.
report::RunFooter TrainInto(const RunFolder& folder, Parts& parts, const std::vector<Observer*>& watchers,
                            const std::atomic<int>& stop);

// The same with parts made here, of `options`.
report::RunFooter TrainInto(const RunFolder& folder, const config::Options& options,
                            const std::vector<Observer*>& watchers, const std::atomic<int>& stop);

// Goes on in the folder of a stopped run (RunFolder::Lock), which then holds what it would hold had the run never been
// stopped: the logs are cut at the checkpoint and continued. UserError where the data are not the same.
// `place`: which of several workers this is.
report::RunFooter ResumeIn(const RunFolder& folder, const Continuation& next, const std::vector<Observer*>& watchers,
                           const std::atomic<int>& stop, const distributed::WorkerPlace& place = {});

// Begins a new run at `path` (RunFolder::Create, once all that it needs was found) from the state of another. UserError
// where the state does not fit the model.
report::RunFooter BranchInto(const std::filesystem::path& path, const Continuation& next,
                             const std::vector<Observer*>& watchers, const std::atomic<int>& stop,
                             const distributed::WorkerPlace& place = {});

}  // namespace crescendo::train
