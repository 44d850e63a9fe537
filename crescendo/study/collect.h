// From runs on the disk to what a report is made of.
#pragma once

#include <filesystem>
#include <vector>

#include "crescendo/report/study_results.h"
#include "crescendo/study/runs.h"

namespace crescendo::study {

// The logs of a study's runs, read whole. Runs that go on are read as far as they are.
report::StudyResults CollectStudy(const Study& study, const std::vector<Trial>& trials,
                                  const std::vector<TrialRun>& runs);

// Runs side by side that no study holds together: folders of runs, or their logs. Those whose configs differ in nothing
// but the seed are one variant, named as the first one's folder; the first run's variant is the reference.
report::StudyResults CollectRuns(const std::vector<std::filesystem::path>& paths);

}  // namespace crescendo::study
