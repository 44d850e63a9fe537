#include "crescendo/cli/run_screen.h"

#include <fmt/format.h>

#include <csignal>
#include <iostream>

namespace crescendo::cli {
namespace {

std::atomic<int> stop_signal = 0;

}  // namespace

const std::atomic<int>& CatchStopSignals() {
  struct sigaction action {};
  action.sa_handler = [](int signal) { stop_signal = signal; };
  action.sa_flags = SA_RESETHAND;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  // A reader of our output that goes away, or a limit on the size of files, is no reason to die: writing fails and says
  // why; and a run is not a failed one because nobody reads its last line.
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  std::cout.exceptions(std::ios::goodbit);
  return stop_signal;
}

void RunScreen::OnWorkers(int64_t workers, int64_t started) {
  progress_.Note(workers == started ? fmt::format("all {} workers compute", started)
                                    : fmt::format("{} of {} workers compute", workers, started));
}

int ReportEnd(const report::RunFooter& footer, const schedule::Plan& plan, const train::RunFolder& folder,
              const distributed::WorkerPlace& place) {
  const bool first = place.rank == 0;
  const bool by_signal = footer.stop_signal != 0;
  switch (footer.end) {
    case report::RunEnd::kFinished:
      if (!first) return 0;
      std::cout << fmt::format("test accuracy {:.2f} %, loss {:.6f}, {} updates, {}\n",
                               100 * footer.final_evaluation.accuracy, footer.final_evaluation.loss,
                               footer.updates.value(), folder.path().string());
      return 0;
    case report::RunEnd::kInterrupted:
      if (first) {
        std::cerr << fmt::format("crescendo: {} after {} of {} updates; to go on: crescendo resume {}\n", footer.reason,
                                 footer.updates.value(), plan.total_updates().value(), folder.path().string());
      } else if (!by_signal) {
        std::cerr << fmt::format("crescendo: {}\n", footer.reason);
      }
      return by_signal ? 128 + footer.stop_signal : 1;
    case report::RunEnd::kFailed:
      std::cerr << fmt::format("crescendo: {}{}\n", footer.reason,
                               first ? fmt::format("; {} holds what there is", folder.path().string()) : "");
      return 1;
  }
  return 1;
}

}  // namespace crescendo::cli
