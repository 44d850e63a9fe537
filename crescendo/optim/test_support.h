// For the tests of optimizers: parameters written out as numbers.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "crescendo/optim/optimizer.h"

namespace crescendo::optim {

using config::OptimizerName;
using config::OptimizerOptions;

inline at::Tensor Doubles(const std::vector<double>& values) {
  return at::tensor(at::ArrayRef<double>(values), at::TensorOptions(at::kDouble));
}

inline std::vector<double> Values(const at::Tensor& tensor) {
  const at::Tensor dense = tensor.detach().to(at::kDouble).contiguous();
  return {dense.const_data_ptr<double>(), dense.const_data_ptr<double>() + dense.numel()};
}

// Parameters in double precision, stepped along the gradients given.
struct Subject {
  explicit Subject(const OptimizerOptions& options, std::vector<at::Tensor> weights) : parameters(std::move(weights)) {
    at::set_num_threads(1);
    std::vector<Parameter> named;
    for (size_t p = 0; p < parameters.size(); ++p) named.push_back({fmt::format("p{}", p), parameters[p]});
    optimizer = BuildOptimizer(options, named);
  }

  // An undefined gradient: none for that parameter.
  void Step(const StepSetting& setting, const std::vector<at::Tensor>& gradients) {
    for (size_t p = 0; p < parameters.size(); ++p) parameters[p].mutable_grad() = gradients[p];
    optimizer->Step(setting);
    optimizer->ZeroGradients();
  }

  std::vector<at::Tensor> parameters;
  std::unique_ptr<Optimizer> optimizer;
};

// One parameter, a number.
struct Scalar : Subject {
  explicit Scalar(const OptimizerOptions& options, double weight = 0) : Subject(options, {Doubles({weight})}) {}
  double Step(const StepSetting& setting, double gradient) {
    Subject::Step(setting, {Doubles({gradient})});
    return parameters[0].item<double>();
  }
};

inline OptimizerOptions Named(OptimizerName name) {
  OptimizerOptions options;
  options.name = name;
  return options;
}

}  // namespace crescendo::optim
