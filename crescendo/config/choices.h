// The choices of the options, each an enum with a sentence per case; those of the schedule are in
// schedule/corner_cases.h.
#pragma once

#include "crescendo/base/enum_names.h"

namespace crescendo::config {

enum class DatasetName { kCifar10, kCifar100, kMnist, kFashionMnist, kCsv, kSynthetic };
enum class ModelName { kMlp, kWideResNet };
enum class Padding { kReflect, kZero };
enum class Shape {
  kConstant,
  kStep,
  kCosine,
  kRestarts,
  kExponential,
  kPolynomial,
  kLinear,
  kOneCycle,
  kTrapezoid,
  kInverseSqrt,
  kTable
};
enum class Interpolation { kConstant, kLinear };
enum class OptimizerName { kSgd, kMomentum, kNesterov, kAdam, kAdamW, kRmsprop, kLars, kLamb };
enum class WeightDecay { kCoupled, kDecoupled };
enum class DeviceName { kAuto, kCpu, kCuda };
enum class Precision { kFp32, kBf16 };
enum class Workers { kFixed, kGrow };

}  // namespace crescendo::config

namespace crescendo {

template <>
inline constexpr auto kEnumCases<config::DatasetName> = std::to_array<EnumCase<config::DatasetName>>({
    {config::DatasetName::kCifar10, "cifar10", "50,000 + 10,000 colour images 32x32 in 10 classes"},
    {config::DatasetName::kCifar100, "cifar100", "50,000 + 10,000 colour images 32x32 in 100 classes"},
    {config::DatasetName::kMnist, "mnist", "60,000 + 10,000 grey digits 28x28"},
    {config::DatasetName::kFashionMnist, "fashion_mnist", "60,000 + 10,000 grey clothes 28x28 in 10 classes"},
    {config::DatasetName::kCsv, "csv", "a table of your own"},
    {config::DatasetName::kSynthetic, "synthetic", "images made from the seed, for tests and timing"},
});

template <>
inline constexpr auto kEnumCases<config::ModelName> = std::to_array<EnumCase<config::ModelName>>({
    {config::ModelName::kMlp, "mlp", "fully connected layers, of images or of a table"},
    {config::ModelName::kWideResNet, "wide_resnet", "Zagoruyko & Komodakis 2016, of images"},
});

template <>
inline constexpr auto kEnumCases<config::Padding> = std::to_array<EnumCase<config::Padding>>({
    {config::Padding::kReflect, "reflect", "the image mirrored at its edge (the paper)"},
    {config::Padding::kZero, "zero", "the mean colour"},
});

template <>
inline constexpr auto kEnumCases<config::Shape> = std::to_array<EnumCase<config::Shape>>({
    {config::Shape::kConstant, "constant", "stays at learning_rate"},
    {config::Shape::kStep, "step", "multiplied by factor at each of boundaries"},
    {config::Shape::kCosine, "cosine", "half a cosine from learning_rate to final_learning_rate"},
    {config::Shape::kRestarts, "restarts",
     "cosine with warm restarts (SGDR): cycles of period, each cycle_factor times the one before"},
    {config::Shape::kExponential, "exponential", "falls by factor over each period, smoothly"},
    {config::Shape::kPolynomial, "polynomial", "falls with power of the remaining part of training"},
    {config::Shape::kLinear, "linear", "a straight line from learning_rate to final_learning_rate"},
    {config::Shape::kOneCycle, "one_cycle", "rises along a cosine over rise, then falls along one (Smith 2018)"},
    {config::Shape::kTrapezoid, "trapezoid",
     "stays, then from decay_begin falls in a straight line; with warmup: warm-up, stable, decay"},
    {config::Shape::kInverseSqrt, "inverse_sqrt",
     "stays, then from decay_begin falls as one over the root of the position; with a warmup of that length: Vaswani "
     "et al. "
     "2017"},
    {config::Shape::kTable, "table", "given by table"},
});

template <>
inline constexpr auto kEnumCases<config::Interpolation> = std::to_array<EnumCase<config::Interpolation>>({
    {config::Interpolation::kConstant, "constant", "the value of the position before"},
    {config::Interpolation::kLinear, "linear", "a straight line"},
});

template <>
inline constexpr auto kEnumCases<config::OptimizerName> = std::to_array<EnumCase<config::OptimizerName>>({
    {config::OptimizerName::kSgd, "sgd", "plain; momentum must be 0"},
    {config::OptimizerName::kMomentum, "momentum", "A = m A + g; w = w - lr A"},
    {config::OptimizerName::kNesterov, "nesterov", "A = m A + g; w = w - lr (g + m A)"},
    {config::OptimizerName::kAdam, "adam", "Kingma & Ba 2015; momentum is beta1"},
    {config::OptimizerName::kAdamW, "adamw", "Loshchilov & Hutter 2019; momentum is beta1"},
    {config::OptimizerName::kRmsprop, "rmsprop", "Tieleman & Hinton 2012, with momentum"},
    {config::OptimizerName::kLars, "lars", "You et al. 2017"},
    {config::OptimizerName::kLamb, "lamb", "You et al. 2020; momentum is beta1"},
});

template <>
inline constexpr auto kEnumCases<config::WeightDecay> = std::to_array<EnumCase<config::WeightDecay>>({
    {config::WeightDecay::kCoupled, "coupled", "g = g + decay w"},
    {config::WeightDecay::kDecoupled, "decoupled", "w = w (1 - lr decay)"},
});

template <>
inline constexpr auto kEnumCases<config::DeviceName> = std::to_array<EnumCase<config::DeviceName>>({
    {config::DeviceName::kAuto, "auto", "a GPU if one is there, else the CPU"},
    {config::DeviceName::kCpu, "cpu", "the CPU"},
    {config::DeviceName::kCuda, "cuda", "an NVIDIA GPU, or an error"},
});

template <>
inline constexpr auto kEnumCases<config::Precision> = std::to_array<EnumCase<config::Precision>>({
    {config::Precision::kFp32, "fp32", "single precision"},
    {config::Precision::kBf16, "bf16", "bfloat16 for convolutions and products"},
});

template <>
inline constexpr auto kEnumCases<config::Workers> = std::to_array<EnumCase<config::Workers>>({
    {config::Workers::kFixed, "fixed", "all that were started, from the first update on"},
    {config::Workers::kGrow, "grow",
     "one for each worker_batch examples of the batch; the others wait until the batch has grown so far"},
});

}  // namespace crescendo
