// What a person sees while a run goes on, on stderr.
//
// On a terminal: one line, rewritten in place at most five times a second and fitted to the terminal's width. Elsewhere
// (a file, a pipe): a plain line at each evaluation, at each change of phase (of at most 40), and about every ten
// seconds; of an evaluation whose update has its line already, only what is new.
#pragma once

#include <unistd.h>

#include <functional>
#include <string>

#include "crescendo/report/record.h"
#include "crescendo/report/time_estimate.h"
#include "crescendo/schedule/plan.h"

namespace crescendo::report {

// Where a run stands, as numbers to be shown.
struct ProgressView {
  double done = 0;  // share of the run's examples, 0 to 1
  int64_t phase = 1;
  int64_t phases = 1;
  double epoch = 0;
  double epochs = 0;
  int64_t examples = 0;
  int64_t total_examples = 0;
  int64_t updates = 0;  // done
  int64_t total_updates = 0;
  int64_t global_batch = 0;
  int64_t largest_batch = 0;
  double learning_rate = 0;
  double loss = 0;
  double examples_per_second = 0;
  double seconds_left = -1;   // below 0: not known yet
  bool at_most = false;       // seconds_left is a bound: no batch as large as those to come was timed yet
  double test_accuracy = -1;  // 0 to 1; below 0: not evaluated yet
};

// The line for a terminal, in short words ("61.50ep  3,075,000sp": position in epochs and in samples, as in a config):
// at most `width` columns, without a newline. What matters least is left out first: the same from the first line of a
// run to the last, whatever is not known yet and however long its numbers grow.
std::string ProgressLine(const ProgressView& view, int width);

// The line for a file.
std::string PlainProgressLine(const ProgressView& view);

// The same where all but the evaluation was said.
std::string PlainEvaluationLine(const ProgressView& view);

// "8 s", "12 min 05 s", "3 h 20 min", "2 d 4 h".
std::string DurationText(double seconds);

class Progress {
 public:
  // Seconds on a clock that only goes forward.
  using Clock = std::function<double()>;

  // Writes to the file descriptor, which stays the caller's. `plan` must outlive it.
  explicit Progress(const schedule::Plan& plan, int fd = STDERR_FILENO, Clock clock = {});

  void Header(const RunHeader& header);
  void Resume(const ResumeRecord& record);
  void Note(const std::string& sentence);  // on a line of its own
  void Update(const UpdateRecord& record);
  void Evaluation(const EvaluationRecord& record);
  void Footer(const RunFooter& footer);  // how the run ended; why is the caller's to say

 private:
  // Shows the run after the update of `setting`; loss and speed stay those of the last record.
  void MoveTo(const schedule::Setting& setting, double epoch);
  void ShowLine(bool now);
  void Write(const std::string& text) const;
  void EstimateTimeLeft();

  const schedule::Plan& plan_;
  int fd_;
  bool terminal_;
  Clock clock_;
  ProgressView view_;
  TimeEstimate estimate_;
  schedule::Examples examples_;  // of the last record of an update
  schedule::Updates updates_;
  schedule::Updates shown_updates_{-1};  // of the last line
  double train_seconds_ = 0;
  bool warm_ = false;  // a process's first update takes many times as long as the others: memory, threads, kernels
  double evaluation_seconds_ = 0;  // of all evaluations so far
  double busy_since_ = 0;          // on clock_, of the last record: where an evaluation began
  double shown_at_ = -1e9;         // on clock_
  bool line_open_ = false;         // a terminal line stands without its newline
};

}  // namespace crescendo::report
