#include "crescendo/study/stages.h"

#include <algorithm>
#include <utility>

#include "crescendo/study/runs.h"

namespace crescendo::study {
namespace {

Study PilotsOf(const Study& study) {
  Study pilots = study;
  pilots.name += ", pilots";
  pilots.equal = Equal::kNothing;
  pilots.seeds = {study.seeds.front()};
  return pilots;
}

// How many times as long a variant may train to take the time of the reference.
std::vector<double> Factors(const Study& study, const std::vector<TrialRun>& pilots) {
  const TrialRun& reference = pilots[study.reference];
  std::vector<double> factors;
  for (const TrialRun& pilot : pilots) {
    const bool both = pilot.state == TrialState::kFinished && reference.state == TrialState::kFinished;
    factors.push_back(both && pilot.train_seconds > 0 ? reference.train_seconds / pilot.train_seconds : 1);
  }
  return factors;
}

}  // namespace

Stage CurrentStage(const Study& study, const PlanOf& plan_of) {
  if (study.equal != Equal::kWallClock) return {study, MakeTrials(study, plan_of)};
  const Study pilots = PilotsOf(study);
  std::vector<Trial> trials = MakeTrials(pilots, plan_of);
  const std::vector<TrialRun> runs = FindRuns(pilots, trials);
  // A crash says nothing about the variant: its pilot is to be run again.
  const bool ended = std::ranges::all_of(
      runs, [](const TrialRun& run) { return run.state == TrialState::kFinished || run.state == TrialState::kFailed; });
  if (!ended) return {pilots, std::move(trials), /*is_last=*/false};

  Study stretched = study;
  const std::vector<double> factors = Factors(study, runs);
  for (size_t i = 0; i < factors.size(); ++i) {
    stretched.variants[i].options =
        Stretched(study.variants[i].options, factors[i], plan_of(study.variants[i].options).train_examples().value());
  }
  return {stretched, MakeTrials(stretched, plan_of)};
}

}  // namespace crescendo::study
