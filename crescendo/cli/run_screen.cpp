#include "crescendo/cli/run_screen.h"

#include <fmt/format.h>

#include <csignal>
#include <iostream>

namespace crescendo::cli {
namespace {

std::atomic<int> stop_signal = 0;

int64_t Milliseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

// The first asks for an end, another one ends the program at once. One that comes right behind the first is the same
// request: sent to all processes of a group, and passed on by one of them.
void OnStopSignal(int signal) {
  constexpr int64_t kSameRequest = 250;  // milliseconds
  static std::atomic<int64_t> first_came = 0;
  if (stop_signal == 0) {
    first_came = Milliseconds();
    stop_signal = signal;
  } else if (Milliseconds() - first_came > kSameRequest) {
    ::signal(signal, SIG_DFL);
    ::raise(signal);
  }
}

}  // namespace

const std::atomic<int>& CatchStopSignals() {
  struct sigaction action {};
  action.sa_handler = OnStopSignal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  // A terminal that is closed is one more, unless nohup has said that it is none.
  struct sigaction hang_up {};
  sigaction(SIGHUP, nullptr, &hang_up);
  if (hang_up.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, nullptr);
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

// The command that goes on with a run, for people.
std::string ResumeCommand(const train::RunFolder& folder, const distributed::WorkerPlace& place) {
  std::string command = fmt::format("crescendo resume {}", folder.path().string());
  if (place.size == 1) return command;
  if (place.inherited_listener >= 0) return fmt::format("{} --ranks {}", command, place.size);
  return fmt::format("{}, by {} workers", command, place.size);
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
        std::cerr << fmt::format("crescendo: {} after {} of {} updates; to go on: {}\n", footer.reason,
                                 footer.updates.value(), plan.total_updates().value(), ResumeCommand(folder, place));
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
