// What a person sees while a study goes on, on stderr. On a terminal: a table with a row per variant and a line per run
// that goes on, rewritten in place. Elsewhere: a plain line whenever a run ends, and one every few minutes until then.
#pragma once

#include <unistd.h>

#include <chrono>
#include <string>
#include <vector>

#include "crescendo/study/runs.h"

namespace crescendo::study {

struct BoardView {
  const Study& study;
  const std::vector<Trial>& trials;
  const std::vector<TrialRun>& runs;
  std::vector<double> elapsed;       // per trial, of those running, seconds
  std::vector<double> share_before;  // of their examples, 0 to 1, that was done before these seconds began
  int64_t jobs = 1;
  bool stopping = false;
};

// Seconds until all runs have ended, from how long runs took and how far those that go on are; below 0: not known yet.
double SecondsLeft(const BoardView& view);

// The table of a terminal, at most `width` columns wide and `height` lines high; what does not fit is counted.
std::string BoardText(const BoardView& view, int64_t width, int64_t height);

// The line when trial `ended` has ended: "[12/20] grow, seed 3: 96.42 % after 6 s; about 40 s left".
std::string EndedLine(const BoardView& view, size_t ended);

// The line while none ends: "[11/20] running: grow, seed 3: 62 %; decay, seed 3: 40 %; about 3 min left"; "" where none
// runs.
std::string RunningLine(const BoardView& view);

class Board {
 public:
  // Where `fd` is no terminal, a line stands there at least every `quiet_seconds` while runs go on.
  explicit Board(int fd = STDERR_FILENO, double quiet_seconds = 300)
      : fd_(fd), terminal_(::isatty(fd) == 1), quiet_seconds_(quiet_seconds) {}

  void Ended(const BoardView& view, size_t trial);
  void Redraw(const BoardView& view);  // as often as one likes
  void Close();                        // leaves the table as it stands

 private:
  void Write(const std::string& text);

  int fd_;
  bool terminal_;
  double quiet_seconds_;
  std::chrono::steady_clock::time_point written_ = std::chrono::steady_clock::now();
  int64_t lines_ = 0;  // of the table that stands
};

}  // namespace crescendo::study
