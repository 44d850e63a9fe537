#include "crescendo/study/board.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/ioctl.h>

#include <algorithm>

#include "crescendo/report/progress.h"
#include "crescendo/report/text_table.h"

namespace crescendo::study {
namespace {

struct Counts {
  int64_t finished = 0;
  int64_t running = 0;
  int64_t failed = 0;  // and crashed
  int64_t waiting = 0;

  void Count(TrialState state) {
    switch (state) {
      case TrialState::kFinished:
        ++finished;
        break;
      case TrialState::kRunning:
        ++running;
        break;
      case TrialState::kFailed:
      case TrialState::kCrashed:
        ++failed;
        break;
      case TrialState::kWaiting:
        ++waiting;
        break;
    }
  }
};

Counts CountAll(const BoardView& view) {
  Counts counts;
  for (const TrialRun& run : view.runs) counts.Count(run.state);
  return counts;
}

// How long a run of the variant takes: as its others did; else as all did, by their examples; below 0: not known.
double ExpectedSeconds(const BoardView& view, size_t trial) {
  double own_seconds = 0;
  double own_runs = 0;
  double all_seconds = 0;
  double all_examples = 0;
  for (size_t i = 0; i < view.runs.size(); ++i) {
    const TrialRun& run = view.runs[i];
    double seconds = 0;
    double share = 1;
    if (run.state == TrialState::kFinished) {
      seconds = run.seconds;
    } else if (run.state == TrialState::kRunning && run.share_done - view.share_before[i] > 0.02) {
      seconds = view.elapsed[i];
      share = run.share_done - view.share_before[i];
    } else {
      continue;
    }
    if (view.trials[i].variant == view.trials[trial].variant) {
      own_seconds += seconds;
      own_runs += share;
    }
    all_seconds += seconds;
    all_examples += share * static_cast<double>(view.trials[i].total_examples);
  }
  if (own_runs > 0) return own_seconds / own_runs;
  if (all_examples == 0) return -1;
  return all_seconds / all_examples * static_cast<double>(view.trials[trial].total_examples);
}

std::string Left(const BoardView& view) {
  const double seconds = SecondsLeft(view);
  return seconds < 0 ? "" : fmt::format("about {} left", report::DurationText(seconds));
}

std::string NameOfTrial(const BoardView& view, size_t trial) {
  return fmt::format("{}, seed {}", view.study.variants[view.trials[trial].variant].name, view.trials[trial].seed);
}

// "[12/20]": the runs that have ended.
std::string CountText(const BoardView& view) {
  const Counts counts = CountAll(view);
  return fmt::format("[{}/{}]", counts.finished + counts.failed, view.runs.size());
}

std::string Cut(const std::string& text, int64_t width) {
  if (report::DisplayWidth(text) <= width) return text;
  size_t end = static_cast<size_t>(std::max<int64_t>(0, width - 3));
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

// At most `most` lines, the last of which counts those left out.
std::string FirstLines(const std::string& text, int64_t most, std::string_view what) {
  const int64_t lines = std::ranges::count(text, '\n');
  if (lines <= most) return text;
  if (most <= 0) return "";
  size_t end = 0;
  for (int64_t line = 0; line + 1 < most; ++line) end = text.find('\n', end) + 1;
  return text.substr(0, end) + fmt::format("... and {} more {}\n", lines - most + 1, what);
}

}  // namespace

double SecondsLeft(const BoardView& view) {
  constexpr double kTellsByItself = 0.1;  // a run that has done so much says better than others how fast it is
  double work = 0;
  double longest = 0;
  for (size_t i = 0; i < view.runs.size(); ++i) {
    if (HasEnded(view.runs[i].state)) continue;
    double whole = ExpectedSeconds(view, i);
    if (whole < 0) return -1;
    const bool running = view.runs[i].state == TrialState::kRunning;
    const double done_here = running ? view.runs[i].share_done - view.share_before[i] : 0;
    if (done_here > kTellsByItself) whole = view.elapsed[i] / done_here;
    const double left = whole * (1 - view.runs[i].share_done);
    work += left;
    longest = std::max(longest, left);
  }
  return std::max(longest, work / static_cast<double>(std::max<int64_t>(1, view.jobs)));
}

std::string BoardText(const BoardView& view, int64_t width, int64_t height) {
  using report::Align;
  const Counts counts = CountAll(view);
  const auto variants = static_cast<int64_t>(view.study.variants.size());
  // Between the first line and the last; the runs get what the variants leave, and at least half.
  const int64_t room = std::max<int64_t>(0, height - 2);
  const int64_t room_of_runs = std::min(counts.running, std::max(room / 2, room - variants));
  report::TextTable table({{"variant", Align::kLeft}, {"done"}, {"running"}, {"failed"}, {"waiting"}});
  const auto number = [](int64_t count) { return count == 0 ? std::string("-") : fmt::format("{}", count); };
  for (size_t variant = 0; variant < view.study.variants.size(); ++variant) {
    Counts of_variant;
    for (size_t i = 0; i < view.trials.size(); ++i) {
      if (view.trials[i].variant == variant) of_variant.Count(view.runs[i].state);
    }
    table.AddRow({view.study.variants[variant].name, number(of_variant.finished), number(of_variant.running),
                  number(of_variant.failed), number(of_variant.waiting)});
  }
  std::string runs;
  for (size_t i = 0; i < view.runs.size(); ++i) {
    if (view.runs[i].state != TrialState::kRunning) continue;
    runs += fmt::format("  {}: {:.0f} %, {}\n", NameOfTrial(view, i), 100 * view.runs[i].share_done,
                        report::DurationText(view.elapsed[i]));
  }
  std::string text =
      FirstLines(table.Render(), 1 + room - room_of_runs, "variants") + FirstLines(runs, room_of_runs, "runs");
  const int64_t ended = counts.finished + counts.failed;
  std::string last = fmt::format("{} of {} runs done", ended, view.runs.size());
  if (const std::string left = Left(view); !left.empty() && ended < static_cast<int64_t>(view.runs.size())) {
    last += ", " + left;
  }
  if (view.stopping) last += "; stopping";
  text += last + '\n';
  std::string fitted;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    fitted += Cut(text.substr(begin, end - begin), width) + '\n';
    begin = end + 1;
  }
  return fitted;
}

std::string EndedLine(const BoardView& view, size_t ended) {
  const TrialRun& run = view.runs[ended];
  const Counts counts = CountAll(view);
  std::string line = fmt::format("{} {}: ", CountText(view), NameOfTrial(view, ended));
  switch (run.state) {
    case TrialState::kFinished:
      line += fmt::format("{:.2f} % after {}", 100 * run.accuracy, report::DurationText(run.seconds));
      break;
    case TrialState::kFailed:
      line += "failed: " + run.reason;
      break;
    case TrialState::kCrashed:
      line += "crashed: " + run.reason;
      break;
    case TrialState::kWaiting:
    case TrialState::kRunning:
      line += fmt::format("stopped at {:.0f} %", 100 * run.share_done);
      if (CannotGoOn(run)) line += ", and cannot go on: " + run.reason;
      break;
  }
  std::ranges::replace(line, '\n', ' ');
  if (const std::string left = Left(view); !left.empty() && counts.running + counts.waiting > 0 && !view.stopping) {
    line += "; " + left;
  }
  return line + '\n';
}

std::string RunningLine(const BoardView& view) {
  std::vector<std::string> parts;
  for (size_t i = 0; i < view.runs.size(); ++i) {
    if (view.runs[i].state != TrialState::kRunning) continue;
    parts.push_back(fmt::format("{}: {:.0f} %", NameOfTrial(view, i), 100 * view.runs[i].share_done));
  }
  if (parts.empty()) return "";
  parts.push_back(view.stopping ? "stopping" : Left(view));
  if (parts.back().empty()) parts.pop_back();  // not known yet
  return fmt::format("{} running: {}\n", CountText(view), fmt::join(parts, "; "));
}

void Board::Ended(const BoardView& view, size_t trial) {
  const TrialState state = view.runs[trial].state;
  const bool needs_saying =
      state == TrialState::kFailed || state == TrialState::kCrashed || CannotGoOn(view.runs[trial]);
  if (!terminal_) {
    Write(EndedLine(view, trial));
  } else if (needs_saying) {  // stays above the table
    if (lines_ > 0) Write(fmt::format("\x1b[{}A\x1b[J", lines_));
    lines_ = 0;
    Write(EndedLine(view, trial));
  }
}

void Board::Redraw(const BoardView& view) {
  if (!terminal_) {
    const std::chrono::duration<double> quiet = std::chrono::steady_clock::now() - written_;
    if (quiet.count() >= quiet_seconds_) Write(RunningLine(view));
    return;
  }
  winsize size{};
  const bool known = ::ioctl(fd_, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
  // A line less than the terminal has, for the cursor: what scrolls out of it cannot be rewritten.
  const std::string text = BoardText(view, (known ? size.ws_col : 80) - 1, (known ? size.ws_row : 24) - 1);
  Write((lines_ > 0 ? fmt::format("\x1b[{}A\x1b[J", lines_) : "") + text);
  lines_ = std::ranges::count(text, '\n');
}

void Board::Close() { lines_ = 0; }

void Board::Write(const std::string& text) {
  written_ = std::chrono::steady_clock::now();
  size_t written = 0;
  while (written < text.size()) {
    const ssize_t count = ::write(fd_, text.data() + written, text.size() - written);
    if (count <= 0) return;  // nobody looks any more; the study goes on
    written += static_cast<size_t>(count);
  }
}

}  // namespace crescendo::study
