#include "crescendo/study/runner.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <optional>
#include <set>
#include <thread>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "crescendo/config/difference.h"
#include "crescendo/config/load.h"
#include "crescendo/study/board.h"
#include "crescendo/study/child.h"

namespace crescendo::study {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

constexpr auto kLook = std::chrono::milliseconds(20);  // how often children are looked after
constexpr double kRedrawSeconds = 0.5;
constexpr int kUserMistake = 2;  // exit code of `crescendo`

double SecondsSince(steady_clock::time_point begin) {
  return std::chrono::duration<double>(steady_clock::now() - begin).count();
}

// One program at a time works on a folder. The system frees the lock however the program ends.
class FolderLock {
 public:
  explicit FolderLock(const fs::path& folder) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) throw UserError(fmt::format("cannot make the folder {}: {}", folder.string(), error.message()));
    const fs::path path = folder / ".lock";
    descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor_ < 0)
      throw UserError(fmt::format("no file can be made in {}: {}", folder.string(), std::strerror(errno)));
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      ::close(descriptor_);
      throw UserError(fmt::format("another crescendo compare works on {}; wait for it, or state another runs = \"...\"",
                                  folder.string()));
    }
  }
  ~FolderLock() { ::close(descriptor_); }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_;
};

constexpr std::string_view kName = "crescendo: ";  // the program, before what it says

std::string LastLine(const fs::path& path) {
  std::string text = ReadFile(path);
  while (text.ends_with('\n')) text.pop_back();
  text = text.substr(text.rfind('\n') + 1);  // npos + 1 is 0
  return text.starts_with(kName) ? text.substr(kName.size()) : text;
}

// Of a program that ended with it, and which may have several lines.
std::string LastError(const fs::path& path) {
  std::string text = '\n' + ReadFile(path);
  while (text.ends_with('\n')) text.pop_back();
  const size_t begin = text.rfind(fmt::format("\n{}", kName));
  return begin == std::string::npos ? LastLine(path) : text.substr(begin + 1 + kName.size());
}

// That a run gets where its config leaves it to us.
int64_t ThreadsOf(const RunnerOptions& options) { return std::max<int64_t>(1, options.cores / options.jobs); }

// The options that the study, or the command, states otherwise than the run in `folder` that has begun: it goes on so,
// on another machine, or says that it must not. What they leave open stays as it was, but for threads that we gave it:
// another device has other uses for them, and there may be fewer cores here.
std::vector<std::string> StatedOtherwise(const fs::path& folder, const Trial& trial, const RunnerOptions& runner) {
  const fs::path config = folder / "config.toml";
  if (!fs::exists(config)) return {};
  std::vector<std::string> changes;
  try {
    const config::Options before = config::LoadFile(config);
    const config::Options& now = trial.options;
    const bool leaves_threads = !now.run.threads;
    for (const config::Difference& difference : config::DifferencesBetween(before, now)) {
      const std::string& key = difference.key;
      const bool may_differ = config::MayDifferOnResume(key) || key == "run.reproducible";
      const bool is_ours = key == "run.threads" && leaves_threads;
      if (!may_differ || is_ours || difference.after.empty() || !now.places.contains(key)) continue;
      changes.push_back(key + '=' + difference.after);
    }
    const bool other_device = now.places.contains("run.device") && before.run.device != now.run.device;
    const bool too_many = before.run.threads && *before.run.threads > runner.cores;
    if (leaves_threads && (other_device || too_many) && !now.run.reproducible) {
      changes.push_back(fmt::format("run.threads={}", ThreadsOf(runner)));
    }
  } catch (const UserError&) {
    changes.clear();  // a config that cannot be read is for the run to tell
  }
  return changes;
}

class Runner {
 public:
  Runner(const Study& study, const std::vector<Trial>& trials, const RunnerOptions& options,
         const std::atomic<int>& stop)
      : study_(study), trials_(trials), options_(options), stop_(stop), lock_(study.runs), board_(options.fd) {
    result_.runs = FindRuns(study, trials);
    for (const size_t trial : ShuffledOrder(trials)) {
      TrialRun& run = result_.runs[trial];
      const bool retry =
          options.retry_failed && (run.state == TrialState::kFailed || run.state == TrialState::kCrashed);
      if (retry) run = {.folder = run.folder, .reason = "", .share_done = run.share_done};
      if (run.state == TrialState::kWaiting) queue_.push_back(trial);
    }
    for (int64_t slot = options.jobs; slot-- > 0;) free_slots_.push_back(slot);
  }

  ~Runner() { StopAll(SIGKILL); }  // only where an exception left some
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  RunnerResult Run() {
    auto drawn = steady_clock::now() - std::chrono::hours(1);
    while (!(queue_.empty() || stopping_) || !active_.empty()) {
      if (stop_ != 0 && !stopping_) Stop();
      while (!stopping_ && !queue_.empty() && !free_slots_.empty()) Start();
      const bool any_ended = Reap();
      if (any_ended || SecondsSince(drawn) >= kRedrawSeconds) {
        for (Active& active : active_) {
          const double share = ShareDone(active.trial);
          result_.runs[active.trial].share_done = share;
          active.share_before = std::min(active.share_before, share);  // its checkpoint was older than its log
        }
        board_.Redraw(View());
        drawn = steady_clock::now();
      }
      if (!any_ended) std::this_thread::sleep_for(kLook);
    }
    board_.Redraw(View());
    board_.Close();
    return std::move(result_);
  }

 private:
  struct Active {
    pid_t process;
    size_t trial;
    int64_t slot;
    bool resumes;
    double share_before;
    steady_clock::time_point begin;
  };

  BoardView View() const {
    const std::vector<double> zeros(trials_.size());
    BoardView view{study_, trials_, result_.runs, zeros, zeros, options_.jobs, stopping_};
    for (const Active& active : active_) {
      view.elapsed[active.trial] = SecondsSince(active.begin);
      view.share_before[active.trial] = active.share_before;
    }
    return view;
  }

  double ShareDone(size_t trial) const { return LookAt(result_.runs[trial].folder, trials_[trial]).share_done; }

  void Start() {
    const size_t trial = queue_.front();
    TrialRun& run = result_.runs[trial];
    ChildRequest request;
    KeepEarlierTry(run.folder, trials_[trial]);
    if (run.state == TrialState::kWaiting && run.share_done > 0) {
      request.words = {options_.program.string(), "resume", run.folder.string(), "--start-over"};
      for (const std::string& change : StatedOtherwise(run.folder, trials_[trial], options_)) {
        request.words.push_back(change);
      }
    } else {
      PrepareFolder(run.folder, trials_[trial]);
      request.words = {options_.program.string(), "train",  TrialFile(run.folder).string(), "--out",
                       run.folder.string(),       "--force"};
    }
    if (request.words[1] == "train" && !trials_[trial].options.run.threads) {  // a checkpoint knows its threads
      request.words.push_back(fmt::format("run.threads={}", ThreadsOf(options_)));
    }
    const int64_t slot = free_slots_.back();
    if (!options_.gpus.empty()) {
      const auto gpu = static_cast<size_t>(slot) % options_.gpus.size();
      request.changes.push_back("CUDA_VISIBLE_DEVICES=" + options_.gpus[gpu]);
    }
    request.output = OutputFile(run.folder);
    const pid_t process = StartChild(request);
    queue_.pop_front();
    free_slots_.pop_back();
    active_.push_back({process, trial, slot, request.words[1] == "resume", run.share_done, steady_clock::now()});
    run = {.folder = run.folder, .state = TrialState::kRunning, .reason = "", .share_done = run.share_done};
    ++result_.started;
  }

  // True where a run has ended.
  bool Reap() {
    bool any = false;
    for (size_t i = 0; i < active_.size();) {
      const auto status = EndOfChild(active_[i].process);
      if (!status) {
        ++i;
        continue;
      }
      const Active ended = active_[i];
      active_.erase(active_.begin() + static_cast<std::ptrdiff_t>(i));
      free_slots_.push_back(ended.slot);
      Close(ended, *status);
      any = true;
    }
    return any;
  }

  void Close(const Active& ended, int status) {
    TrialRun& run = result_.runs[ended.trial];
    run = LookAt(run.folder, trials_[ended.trial]);
    if (WIFEXITED(status) && WEXITSTATUS(status) == kUserMistake) {
      TellMistake(ended);
      return;
    }
    // By a signal that it was sent; else the footer is that of an earlier stop.
    const bool stopped = run.stopped && WIFEXITED(status) && WEXITSTATUS(status) > 128;
    if (!HasEnded(run.state) && !stopped && !stopping_) {
      run.state = TrialState::kCrashed;
      const std::string said = LastLine(OutputFile(run.folder));
      run.reason = DescribeEnd(status) + (said.empty() ? ", having said nothing" : "; the last it said: " + said);
      WriteFileAtomically(CrashFile(run.folder), run.reason + '\n');
    }
    board_.Ended(View(), ended.trial);
  }

  // Something given cannot work, so the run has not failed: it waits. What cannot begin could not in the other runs
  // either; what one cannot go on from may be its own.
  void TellMistake(const Active& ended) {
    TrialRun& run = result_.runs[ended.trial];
    const Trial& trial = trials_[ended.trial];
    std::string why = LastError(OutputFile(run.folder));
    if (ended.resumes && !IsLocked(run.folder)) {
      why +=
          fmt::format("; or move {} out of {}, to have the run begun anew", run.folder.string(), study_.runs.string());
    }
    if (result_.mistake.empty() || !ended.resumes) {
      result_.mistake = fmt::format("{}, seed {}: {}", study_.variants[trial.variant].name, trial.seed, why);
    }
    if (!ended.resumes) {
      if (!stopping_) Stop();
      return;
    }
    run.stopped = false;
    run.reason = why;
    board_.Ended(View(), ended.trial);
  }

  void Stop() {
    stopping_ = true;
    StopAll(SIGTERM);
  }

  void StopAll(int signal) {
    for (const Active& active : active_) ::kill(active.process, signal);
    if (signal != SIGKILL) return;
    for (const Active& active : active_) ::waitpid(active.process, nullptr, 0);
    active_.clear();
  }

  const Study& study_;
  const std::vector<Trial>& trials_;
  const RunnerOptions& options_;
  const std::atomic<int>& stop_;
  FolderLock lock_;
  Board board_;
  std::deque<size_t> queue_;
  std::vector<int64_t> free_slots_;
  std::vector<Active> active_;
  bool stopping_ = false;
  RunnerResult result_;
};

std::string Runs(int64_t count) { return count == 1 ? "1 run" : fmt::format("{} runs", count); }

}  // namespace

RunnerOptions AloneOnTheMachine(RunnerOptions options) {
  options.cores = ThreadsOf(options);
  options.jobs = 1;
  return options;
}

RunnerResult RunStudy(const Study& study, const std::vector<Trial>& trials, const RunnerOptions& options,
                      const std::atomic<int>& stop) {
  CRESCENDO_ASSERT(options.jobs >= 1, "a study runs at least one job");
  return Runner(study, trials, options, stop).Run();
}

std::string WhatIsLeft(const std::vector<TrialRun>& runs) {
  const int64_t stuck = std::ranges::count_if(runs, CannotGoOn);
  const int64_t waiting = std::ranges::count(runs, TrialState::kWaiting, &TrialRun::state) - stuck;
  const int64_t crashed = std::ranges::count(runs, TrialState::kCrashed, &TrialRun::state);
  std::vector<std::string> sentences;
  if (waiting > 0) sentences.push_back(Runs(waiting) + " to go; the same command goes on from here");
  if (stuck > 0) sentences.push_back(Runs(stuck) + " cannot go on");
  if (crashed > 0) {
    sentences.push_back(
        fmt::format("{} crashed; --retry-failed runs {} again", Runs(crashed), crashed == 1 ? "it" : "them"));
  }
  return fmt::format("{}", fmt::join(sentences, "; "));
}

}  // namespace crescendo::study
