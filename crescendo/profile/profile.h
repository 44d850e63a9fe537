// Profiles the training of a config: the real trainer with its loader, model, optimizer and logs, over a few updates.
//
// What an update costs depends on its batch and not on when it is, so all that is measured has the batch of one phase
// of the plan, as many updates as are asked for; their learning rate is next to nothing, since that of a late phase
// would be too much for weights that are not trained. The logs go to a folder for temporary files and are gone at the
// end.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "crescendo/config/options.h"
#include "crescendo/distributed/worker_place.h"
#include "crescendo/report/profile.h"

namespace crescendo::profile {

struct Request {
  std::string config = {};                  // its name, for the report
  std::optional<config::Position> at = {};  // the phase in force here; the first without it
  std::optional<int64_t> phase = {};        // instead: this one, from 1
  std::optional<int64_t> updates = {};      // to measure; without it, what about three seconds hold
  bool trace = false;
  std::function<void(const std::string&)> tell = {};  // a sentence, where it will take long
};

struct Result {
  report::Profile profile;
  std::string trace;    // Chrome's format (trace.h); "" where none was asked for
  int stop_signal = 0;  // where it ended by one; the rest is then empty
};

// UserError for a phase that the plan does not have, and for what Build refuses. RunError where training fails.
// `stop`: a signal's number once it is to end. Of several workers all call it; the profile is that of each.
Result ProfileTraining(const config::Options& options, const Request& request, const std::atomic<int>& stop,
                       const distributed::WorkerPlace& place = {});

}  // namespace crescendo::profile
