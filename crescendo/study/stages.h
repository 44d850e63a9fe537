// What of a study is to be run now.
//
// Where variants are to take the same time, how long each takes has to be known before its schedule can be stretched to
// that. So such a study has two stages: pilots, one run of each variant as it is stated, and then the study itself. A
// pilot is a run like any other and stays in the study's folder; the reference's is also its run of the first seed.
//
//   Stage stage = CurrentStage(study, train::BuildPlan);
//   RunStudy(stage.study, stage.trials, ...);             // and again, until stage.is_last
#pragma once

#include <vector>

#include "crescendo/study/study.h"
#include "crescendo/study/trials.h"

namespace crescendo::study {

struct Stage {
  Study study;
  std::vector<Trial> trials;
  bool is_last = true;
};

// The pilots until each has finished or failed, then the study. A variant whose pilot failed keeps the length that it
// states. UserError as MakeTrials.
Stage CurrentStage(const Study& study, const PlanOf& plan_of);

}  // namespace crescendo::study
