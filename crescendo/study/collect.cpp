#include "crescendo/study/collect.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "crescendo/base/error.h"
#include "crescendo/config/digest.h"
#include "crescendo/config/load.h"

namespace crescendo::study {
namespace {

namespace fs = std::filesystem;

report::RunState StateOf(const report::RunSummary& summary) {
  if (!summary.footer) return report::RunState::kUnfinished;
  switch (summary.footer->end) {
    case report::RunEnd::kFinished:
      return report::RunState::kFinished;
    case report::RunEnd::kFailed:
      return report::RunState::kFailed;
    case report::RunEnd::kInterrupted:
      return report::RunState::kUnfinished;
  }
  return report::RunState::kUnfinished;
}

// The log of a run that goes on has no end yet, which is nothing to warn of.
report::RunCurve ReadCurve(const fs::path& log) {
  report::RunCurve curve = report::ReadRunCurve(log);
  if (!curve.summary.footer && IsLocked(fs::absolute(log).parent_path())) curve.summary.warning.clear();
  return curve;
}

report::StudyRun ReadRun(const TrialRun& found, int64_t seed) {
  report::StudyRun run{seed,         found.folder.string(), report::RunState::kWaiting,
                       found.reason, std::nullopt,          found.earlier};
  // Before its first line is whole a log is none yet.
  if (fs::exists(LogFile(found.folder)) && (found.share_done > 0 || HasEnded(found.state))) {
    run.log = ReadCurve(LogFile(found.folder));
    run.state = StateOf(run.log->summary);
  }
  if (found.state == TrialState::kCrashed) run.state = report::RunState::kCrashed;
  return run;
}

// Of a run that is given as its folder, or as the log itself.
fs::path LogOf(const fs::path& path) {
  if (!fs::exists(path)) throw UserError(fmt::format("there is no {}", path.string()));
  if (path.extension() == ".toml" && fs::is_regular_file(path)) {
    throw UserError(
        fmt::format("{} is a {}; a report takes the folders of runs, or one study (a file with [variants]) alone",
                    path.string(), IsStudyFile(path) ? "study" : "config"));
  }
  if (!fs::is_directory(path)) return path;
  if (fs::exists(LogFile(path))) return LogFile(path);
  if (const std::vector<fs::path> runs = RunsIn(path); !runs.empty()) {
    throw UserError(
        fmt::format("{} holds runs and is none; give their folders, such as {}, or the study that made them",
                    path.string(), runs.front().string()));
  }
  throw UserError(fmt::format("{} is no folder of a run: it has no run.jsonl", path.string()));
}

// A folder is named as what it holds, also where it is given as "." or with a slash at its end.
std::string NameOfFolder(const fs::path& folder) {
  const fs::path path = fs::absolute(folder).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

}  // namespace

report::StudyResults CollectStudy(const Study& study, const std::vector<Trial>& trials,
                                  const std::vector<TrialRun>& runs) {
  report::StudyResults results;
  results.name = study.name;
  results.question = study.question;
  results.file = study.file.string();
  results.overrides = study.overrides;
  results.note = RunsOfOtherSettings(study, trials, runs);
  results.equal = crescendo::NameOf(study.equal);
  results.margin = study.margin;
  results.reference = study.reference;
  for (const Variant& variant : study.variants) results.variants.push_back({variant.name, variant.options, {}, 0});
  for (size_t i = 0; i < trials.size(); ++i) {
    report::StudyVariant& variant = results.variants[trials[i].variant];
    variant.options = trials[i].options;  // as made equal
    variant.planned_updates = static_cast<double>(trials[i].total_updates);
    variant.runs.push_back(ReadRun(runs[i], trials[i].seed));
  }
  return results;
}

report::StudyResults CollectRuns(const std::vector<fs::path>& paths) {
  CRESCENDO_ASSERT(!paths.empty(), "a report of at least one run");
  report::StudyResults results;
  std::vector<std::map<std::string, std::string>> learned;  // per variant
  for (const fs::path& path : paths) {
    const fs::path log = LogOf(path);
    report::StudyRun run;
    run.folder = log.parent_path().string();
    run.log = ReadCurve(log);
    run.state = StateOf(run.log->summary);
    if (run.log->summary.footer) run.reason = run.log->summary.footer->reason;
    const config::Options options = config::LoadText(run.log->summary.header.config_toml, log);
    run.seed = options.run.seed;

    std::map<std::string, std::string> settings = config::LearnedSettings(options);
    settings.erase("run.seed");
    const auto known = std::ranges::find(learned, settings);
    if (known == learned.end()) {
      learned.push_back(std::move(settings));
      const auto planned = static_cast<double>(run.log->summary.header.total_updates);
      results.variants.push_back({NameOfFolder(log.parent_path()), options, {std::move(run)}, planned});
      continue;
    }
    report::StudyVariant& variant = results.variants[static_cast<size_t>(known - learned.begin())];
    const auto has_seed = [&](const report::StudyRun& other) { return other.seed == run.seed; };
    if (const auto twice = std::ranges::find_if(variant.runs, has_seed); twice != variant.runs.end()) {
      throw UserError(fmt::format("{} and {} are the same run: config and seed {} are equal; give one of them",
                                  twice->folder, run.folder, run.seed));
    }
    variant.runs.push_back(std::move(run));
  }
  results.name = paths.size() == 1 ? results.variants.front().name : fmt::format("{} runs", paths.size());
  return results;
}

}  // namespace crescendo::study
