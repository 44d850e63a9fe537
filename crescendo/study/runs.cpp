#include "crescendo/study/runs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "crescendo/base/error.h"
#include "crescendo/base/file.h"
#include "crescendo/config/describe.h"
#include "crescendo/config/difference.h"
#include "crescendo/config/digest.h"
#include "crescendo/config/load.h"
#include "crescendo/report/run_tail.h"
#include "crescendo/report/text_table.h"

namespace crescendo::study {
namespace {

namespace fs = std::filesystem;

constexpr size_t kShortDigest = 8;

std::string DigestIn(const fs::path& folder) {
  std::ifstream file(TrialFile(folder));
  std::string line;
  std::getline(file, line);
  return line.starts_with(config::kTrialMark) ? line.substr(config::kTrialMark.size()) : "";
}

// What trial.toml holds.
std::string TextOfTrial(const std::string& digest, const config::Options& options) {
  return fmt::format("{}{}\n{}", config::kTrialMark, digest, config::ToToml(options));
}

// A run as its file states it, and the trial that it differs from least.
struct OtherRun {
  std::vector<config::Difference> differences;  // from the trial, in what decides what is learned
  // All options are those of the trial, in every word, and still it is another run: a file that they name has changed.
  bool of_other_content = false;
  std::string train_file;
  std::string test_file;
};

// Of one whose file cannot be read nothing is known.
OtherRun CompareWithNearest(const fs::path& folder, const std::vector<Trial>& trials) {
  std::optional<OtherRun> nearest;
  try {
    const config::Options options = config::LoadFile(TrialFile(folder));
    for (const Trial& trial : trials) {
      std::vector<config::Difference> differences = config::DifferencesBetween(trial.options, options);
      std::erase_if(differences, [](const config::Difference& difference) {
        return config::EffectOf(difference.key) != config::Effect::kRun;
      });
      if (nearest && differences.size() >= nearest->differences.size()) continue;
      // A version with other options would have written another text.
      const bool of_other_content =
          differences.empty() && ReadFile(TrialFile(folder)) == TextOfTrial(DigestIn(folder), options);
      nearest = OtherRun{std::move(differences), of_other_content, options.data.train_file, options.data.test_file};
    }
  } catch (const UserError&) {
    return {};  // of another version: its options are no longer known
  }
  return nearest.value_or(OtherRun());
}

// As on the command line, where a word needs no quotes.
std::string AsOverride(const config::Difference& difference) {
  const std::string& value = difference.after;
  const bool quoted = value.size() >= 2 && value.front() == '"' && value.find(' ') == std::string::npos;
  return fmt::format("{}={}", difference.key, quoted ? value.substr(1, value.size() - 2) : value);
}

std::string StateText(const TrialRun& run) {
  switch (run.state) {
    case TrialState::kFinished:
      return "done";
    case TrialState::kFailed:
      return "failed";
    case TrialState::kCrashed:
      return "crashed";
    case TrialState::kRunning:
      return "running";
    case TrialState::kWaiting:
      break;
  }
  if (!fs::exists(LogFile(run.folder))) return "not begun";
  return !run.stopped && IsLocked(run.folder) ? "running" : "stopped";
}

}  // namespace

fs::path TrialFile(const fs::path& folder) { return folder / "trial.toml"; }
fs::path OutputFile(const fs::path& folder) { return folder / "output.txt"; }
fs::path CrashFile(const fs::path& folder) { return folder / "crash.txt"; }
fs::path EarlierFile(const fs::path& folder) { return folder / "earlier.txt"; }
fs::path LogFile(const fs::path& folder) { return folder / "run.jsonl"; }

// The program that trains in it holds a lock on it.
bool IsLocked(const fs::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return false;
  const bool locked = ::flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(descriptor);
  return locked;
}

TrialRun LookAt(const fs::path& folder, const Trial& trial) {
  TrialRun run;
  run.folder = folder;
  if (const auto tail = report::ReadRunTail(LogFile(folder))) {
    run.share_done =
        std::clamp(static_cast<double>(tail->examples) / static_cast<double>(trial.total_examples), 0.0, 1.0);
    run.accuracy = tail->accuracy;
    run.seconds = tail->seconds;
    run.train_seconds = tail->train_seconds;
    run.reason = tail->reason;
    if (tail->end == report::RunEnd::kFinished) run.state = TrialState::kFinished;
    if (tail->end == report::RunEnd::kFailed) run.state = TrialState::kFailed;
    run.stopped = tail->end == report::RunEnd::kInterrupted;
  }
  if (!HasEnded(run.state) && fs::exists(CrashFile(folder))) {
    run.state = TrialState::kCrashed;
    run.reason = ReadFile(CrashFile(folder));
    while (run.reason.ends_with('\n')) run.reason.pop_back();
  }
  std::ifstream earlier(EarlierFile(folder));
  for (std::string line; std::getline(earlier, line);) run.earlier.push_back(line);
  return run;
}

std::vector<TrialRun> FindRuns(const Study& study, const std::vector<Trial>& trials) {
  std::map<std::string, fs::path> folders;
  std::error_code none_yet;
  for (const auto& entry : fs::directory_iterator(study.runs, none_yet)) {
    if (const std::string digest = DigestIn(entry.path()); !digest.empty()) folders[digest] = entry.path();
  }
  std::vector<TrialRun> runs;
  for (const Trial& trial : trials) {
    const auto found = folders.find(trial.digest);
    const std::string name =
        fmt::format("{}-{}-{}", study.variants[trial.variant].name, trial.seed, trial.digest.substr(0, kShortDigest));
    runs.push_back(LookAt(found == folders.end() ? study.runs / name : found->second, trial));
  }
  return runs;
}

std::string RunsOfOtherSettings(const Study& study, const std::vector<Trial>& trials,
                                const std::vector<TrialRun>& runs) {
  const auto is_there = [](const TrialRun& run) { return fs::exists(TrialFile(run.folder)); };
  if (std::ranges::any_of(runs, is_there)) return "";
  int64_t count = 0;
  int64_t of_other_content = 0;
  std::set<std::string> files;
  std::set<std::string> keys;
  std::vector<config::Difference> fewest;
  for (const fs::path& folder : RunsIn(study.runs)) {
    if (DigestIn(folder).empty()) continue;
    ++count;
    const OtherRun run = CompareWithNearest(folder, trials);
    if (run.of_other_content) {
      ++of_other_content;
      for (const std::string& file : {run.train_file, run.test_file}) {
        if (!file.empty()) files.insert(file);
      }
    }
    const std::vector<config::Difference>& differences = run.differences;
    for (const config::Difference& difference : differences) keys.insert(difference.key);
    if (!differences.empty() && (fewest.empty() || differences.size() < fewest.size())) fewest = differences;
  }
  if (count == 0) return "";
  if (!files.empty()) {
    return fmt::format("{} holds {} {} of these settings, made when the content of {} was other than it is now",
                       study.runs.string(), of_other_content, of_other_content == 1 ? "run" : "runs",
                       fmt::join(files, " or "));
  }
  std::string text =
      fmt::format("{} holds {} {} of other settings", study.runs.string(), count, count == 1 ? "run" : "runs");
  if (keys.empty()) return text;
  text += fmt::format(" ({})", fmt::join(keys, ", "));
  std::vector<std::string> changes;
  for (const config::Difference& difference : fewest) {
    if (difference.key != "run.seed" && !difference.after.empty()) changes.push_back(AsOverride(difference));
  }
  if (changes.empty()) return text;
  return text + fmt::format("; give the changes they were made with, e.g. {}", fmt::join(changes, " "));
}

std::string RunList(const Study& study, const std::vector<Trial>& trials, const std::vector<TrialRun>& runs) {
  using report::Align;
  report::TextTable table({{"digest", Align::kLeft},
                           {"variant", Align::kLeft},
                           {"seed"},
                           {"updates"},
                           {"folder", Align::kLeft},
                           {"state", Align::kLeft}});
  for (size_t i = 0; i < trials.size(); ++i) {
    table.AddRow({trials[i].digest, study.variants[trials[i].variant].name, std::to_string(trials[i].seed),
                  std::to_string(trials[i].total_updates), runs[i].folder.string(), StateText(runs[i])});
  }
  return table.Render();
}

std::vector<fs::path> RunsIn(const fs::path& folder) {
  std::vector<fs::path> runs;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    if (fs::exists(LogFile(entry.path())) || fs::exists(TrialFile(entry.path()))) runs.push_back(entry.path());
  }
  std::ranges::sort(runs);
  return runs;
}

void RequireRun(const fs::path& path) {
  if (path.extension() == ".toml" && fs::is_regular_file(path)) {
    constexpr const char* kStudy = "{0} is a study and no run; `crescendo compare {0} --list` prints its runs' folders";
    constexpr const char* kConfig = "{0} is a config and no run; `crescendo train {0}` makes one and prints its folder";
    throw UserError(fmt::format(fmt::runtime(IsStudyFile(path) ? kStudy : kConfig), path.string()));
  }
  if (fs::exists(path / "config.toml") || fs::exists(LogFile(path))) return;
  const std::vector<fs::path> runs = RunsIn(path);
  if (runs.empty()) return;
  constexpr size_t kMostShown = 3;
  std::vector<std::string> shown;
  for (const fs::path& run : runs) {
    if (shown.size() < kMostShown) shown.push_back(run.string());
  }
  throw UserError(fmt::format("{} holds runs and is none; give one of them: {}{}", path.string(),
                              fmt::join(shown, ", "), runs.size() > kMostShown ? ", ..." : ""));
}

void KeepEarlierTry(const fs::path& folder, const Trial& trial) {
  const TrialRun run = LookAt(folder, trial);
  if (run.state != TrialState::kFailed && run.state != TrialState::kCrashed) return;
  std::string text;
  for (const std::string& line : run.earlier) text += line + '\n';
  std::string reason = run.reason;
  std::ranges::replace(reason, '\n', ' ');
  WriteFileAtomically(EarlierFile(folder), fmt::format("{}{}: {}\n", text, StateText(run), reason));
  fs::remove(CrashFile(folder));
}

void PrepareFolder(const fs::path& folder, const Trial& trial) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw RunError(fmt::format("cannot make the folder {}: {}", folder.string(), error.message()));
  fs::remove(LogFile(folder));  // of an earlier try; until the new one begins it would be taken for its own
  WriteFileAtomically(TrialFile(folder), TextOfTrial(trial.digest, trial.options));
}

}  // namespace crescendo::study
