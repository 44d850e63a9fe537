// The runs that a study consists of, made equal in what is held equal.
//
//   std::vector<Trial> trials = MakeTrials(study, train::BuildPlan);
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "crescendo/config/options.h"
#include "crescendo/schedule/plan.h"
#include "crescendo/study/study.h"

namespace crescendo::study {

struct Trial {
  size_t variant = 0;  // of the study's
  int64_t seed = 0;
  config::Options options;
  std::string digest;  // config::Digest(options): what the run is recognised by
  int64_t total_examples = 0;
  int64_t total_updates = 0;
};

// The plan of a run, which needs the size of the training set.
using PlanOf = std::function<schedule::Plan(const config::Options&)>;

// Variant by variant, seed by seed. UserError where the variants cannot be made equal, or where two are the same.
// (As much time as the reference is not made here: stages.h.)
std::vector<Trial> MakeTrials(const Study& study, const PlanOf& plan_of);

// A deterministic order for running them: seed after seed, the seeds shuffled, and the variants of each seed shuffled
// anew. At any time all variants have begun as many runs, or one more: a slow hour falls on all of them, and what a
// stopped study has finished is nearly all pairs of equal seeds.
std::vector<size_t> ShuffledOrder(const std::vector<Trial>& trials);

// `options` with every position of its schedule that says when something happens in training (length, boundaries,
// warm-up, ...) times `factor`, in whole examples.
config::Options Stretched(const config::Options& options, double factor, int64_t train_examples);

// Stretched so that the run takes exactly `updates`. RunError where no length gives exactly these.
config::Options WithUpdates(const config::Options& options, int64_t updates, const PlanOf& plan_of);

}  // namespace crescendo::study
