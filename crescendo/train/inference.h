// What trained weights say of examples: how good they are on a test set, or the class of each.
//
//   Evaluation result = EvaluateWeights("runs/grow", {}, warn);
//   Predictions classes = PredictWeights("runs/adult", {"data.test_file=new.csv"}, warn);
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

#include "crescendo/train/evaluate.h"
#include "crescendo/train/resume.h"

namespace crescendo::train {

// Of both: the weights in a file or in a run's folder, with the options they were trained with; `overrides`
// ("key=value") for what differs here, as data.folder. The rows of a table become inputs as they did for training, and
// of it only the test rows are read; weights too old to say how go by what the train file says now, with a warning.

// Loss and accuracy on the test set. Other data than those of the run are a warning.
Evaluation EvaluateWeights(const std::filesystem::path& path, const std::vector<std::string>& overrides,
                           const Warn& warn);

struct Predictions {
  std::vector<std::string> classes;  // of a table their names, of images their numbers
  at::Tensor probabilities;          // float [N, classes], on the CPU; each row adds up to 1
  at::Tensor labels;                 // int64 [N]; -1 where it is not known
};

// The probabilities of all classes for each example of the test set, in its order. Of a table the label's column may be
// left out, or empty, or hold what no train row does (but for weights too old to say how rows become inputs). RunError
// where the probabilities are not finite.
Predictions PredictWeights(const std::filesystem::path& path, const std::vector<std::string>& overrides,
                           const Warn& warn);

}  // namespace crescendo::train
