#include "crescendo/nn/norm_relu.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty_cpu_dispatch.h>
#include <ATen/ops/zeros_like.h>
#include <c10/util/BFloat16.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "crescendo/nn/lean_node.h"
#include "crescendo/nn/norm_kernels.h"

namespace crescendo::nn {
namespace {

const NormKernelSet& KernelsOfThisProcessor() {
#ifdef CRESCENDO_X86_KERNELS
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
    return __builtin_cpu_supports("avx512bf16") ? kAvx512Bf16NormKernels : kAvx512NormKernels;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return kAvx2NormKernels;
#endif
  return kBaselineNormKernels;
}

template <class T>
const NormKernels<T>& Kernels() {
  static const NormKernelSet& set = KernelsOfThisProcessor();
  if constexpr (std::is_same_v<T, float>) {
    return set.fp32;
  } else {
    return set.bf16;
  }
}

float AsFloat(float value) { return value; }
float AsFloat(uint16_t bits) { return c10::detail::f32_from_bits(bits); }

// The inputs as a matrix [rows, channels], its ghosts, and the blocks of rows that are worked on at once. A block lies
// in one ghost, and a ghost's blocks depend on its own size alone.
class Matrix {
 public:
  struct Ghost {
    int64_t rows;
    int64_t first_block;
    int64_t end_block;
  };
  struct Block {
    int64_t ghost;
    int64_t row;
    int64_t rows;
  };

  Matrix(const at::Tensor& inputs, const std::vector<int64_t>& ghosts) : channels_(inputs.size(1)) {
    constexpr int64_t kBlockElements = 1 << 15;
    const int64_t rows_of_example = inputs.numel() / (inputs.size(0) * channels_);
    const int64_t most_rows = std::max<int64_t>(1, kBlockElements / channels_);
    int64_t row = 0;
    for (const int64_t examples : ghosts) {
      const int64_t end = row + examples * rows_of_example;
      Ghost ghost{end - row, static_cast<int64_t>(blocks_.size()), 0};
      for (; row < end; row += blocks_.back().rows) {
        blocks_.push_back({static_cast<int64_t>(ghosts_.size()), row, std::min(most_rows, end - row)});
      }
      ghost.end_block = static_cast<int64_t>(blocks_.size());
      ghosts_.push_back(ghost);
    }
    // Small ghosts are blocks too small to be worth a thread.
    grain_ = std::max<int64_t>(1, kBlockElements / (blocks_.front().rows * channels_));
  }

  int64_t channels() const { return channels_; }
  const std::vector<Ghost>& ghosts() const { return ghosts_; }

  // work(block, begin of its first row, begin of its ghost in a [ghosts, channels] array).
  template <class Work>
  void ForEachBlock(const Work& work) const {
    at::parallel_for(0, static_cast<int64_t>(blocks_.size()), grain_, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const Block& block = blocks_[i];
        work(block, block.row * channels_, block.ghost * channels_);
      }
    });
  }

  // Two sums over the rows of each ghost, [ghosts, channels] in double precision, by a kernel that adds a block's to
  // fp32: add(block, begin of its first row, begin of its ghost, first, second).
  struct Sums {
    std::vector<double> first;
    std::vector<double> second;
  };
  template <class Add>
  Sums SumOverGhosts(const Add& add) const {
    std::vector<float> partial(2 * blocks_.size() * channels_);
    ForEachBlock([&](const Block& block, int64_t row_begin, int64_t ghost_begin) {
      float* first = partial.data() + 2 * (&block - blocks_.data()) * channels_;
      add(block, row_begin, ghost_begin, first, first + channels_);
    });
    Sums sums{std::vector<double>(ghosts_.size() * channels_), std::vector<double>(ghosts_.size() * channels_)};
    for (size_t k = 0; k < ghosts_.size(); ++k) {
      double* first = sums.first.data() + k * channels_;
      double* second = sums.second.data() + k * channels_;
      for (int64_t i = ghosts_[k].first_block; i < ghosts_[k].end_block; ++i) {
        const float* of_block = partial.data() + 2 * i * channels_;
        for (int64_t c = 0; c < channels_; ++c) {
          first[c] += of_block[c];
          second[c] += of_block[channels_ + c];
        }
      }
    }
    return sums;
  }

 private:
  int64_t channels_;
  std::vector<Ghost> ghosts_;
  std::vector<Block> blocks_;
  int64_t grain_;
};

// What a ghost was normalised by, each [ghosts, channels], in one tensor that backward finds again.
struct Statistics {
  explicit Statistics(const at::Tensor& tensor)
      : means(tensor.mutable_data_ptr<float>()),
        inverse_deviations(means + tensor.numel() / 3),
        factors(inverse_deviations + tensor.numel() / 3) {}
  float* means;
  float* inverse_deviations;
  float* factors;  // weight / deviation
};

// Roughly the mean of each ghost of inputs + residual (which may be null), [ghosts, channels], from some of its rows.
// Sums lose the variance where the mean is many deviations away from 0; sums of differences from about the mean do not.
template <class T>
std::vector<float> Centres(const Matrix& matrix, const T* inputs, const T* residual) {
  constexpr int64_t kSamples = 32;
  const int64_t channels = matrix.channels();
  std::vector<float> centres;
  int64_t begin = 0;
  for (const Matrix::Ghost& ghost : matrix.ghosts()) {
    const int64_t samples = std::min(kSamples, ghost.rows);
    std::vector<float> centre(channels);
    for (int64_t i = 0; i < samples; ++i) {
      const int64_t row = begin + i * ghost.rows / samples * channels;
      for (int64_t c = 0; c < channels; ++c) {
        const float added = residual != nullptr ? AsFloat(residual[row + c]) : 0;
        centre[c] += (AsFloat(inputs[row + c]) + added) / static_cast<float>(samples);
      }
    }
    centres.insert(centres.end(), centre.begin(), centre.end());
    begin += ghost.rows * channels;
  }
  return centres;
}

// Of inputs + residual, which become the inputs; a null residual is none.
template <class T>
void FillStatistics(const Matrix& matrix, T* inputs, const T* residual, const NormTensors& norm, double momentum,
                    double epsilon, const Statistics& statistics) {
  const int64_t channels = matrix.channels();
  const auto ghosts = static_cast<int64_t>(matrix.ghosts().size());
  const std::vector<float> centres = Centres(matrix, inputs, residual);
  const Matrix::Sums sums = matrix.SumOverGhosts([&](const Matrix::Block& block, int64_t row_begin, int64_t ghost_begin,
                                                     float* first, float* second) {
    const float* centre = centres.data() + ghost_begin;
    if (residual == nullptr) {
      Kernels<T>().sums(inputs + row_begin, block.rows, channels, centre, first, second);
    } else {
      Kernels<T>().add_and_sums(inputs + row_begin, residual + row_begin, block.rows, channels, centre, first, second);
    }
  });

  const float* weight = norm.weight.const_data_ptr<float>();
  auto* running_mean = norm.running_mean.mutable_data_ptr<float>();
  auto* running_variance = norm.running_variance.mutable_data_ptr<float>();
  for (int64_t k = 0; k < ghosts; ++k) {
    const auto count = static_cast<double>(matrix.ghosts()[k].rows);
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t i = k * channels + c;
      double mean = running_mean[c];
      double variance = running_variance[c];
      if (count > 1) {
        const double shift = sums.first[i] / count;
        const double squares = std::max(sums.second[i] - sums.first[i] * shift, 0.0);
        mean = centres[i] + shift;
        variance = squares / count;
        running_mean[c] = static_cast<float>((1 - momentum) * running_mean[c] + momentum * mean);
        running_variance[c] =
            static_cast<float>((1 - momentum) * running_variance[c] + momentum * squares / (count - 1));
      }
      const double inverse_deviation = 1 / std::sqrt(variance + epsilon);
      statistics.means[i] = static_cast<float>(mean);
      statistics.inverse_deviations[i] = static_cast<float>(inverse_deviation);
      statistics.factors[i] = static_cast<float>(weight[c] * inverse_deviation);
    }
  }
}

template <class T>
void Forward(const Matrix& matrix, T* inputs, const T* residual, const NormTensors& norm, double momentum,
             double epsilon, const Statistics& statistics, T* outputs) {
  FillStatistics(matrix, inputs, residual, norm, momentum, epsilon, statistics);
  const float* bias = norm.bias.const_data_ptr<float>();
  matrix.ForEachBlock([&](const Matrix::Block& block, int64_t row_begin, int64_t ghost_begin) {
    Kernels<T>().forward(inputs + row_begin, block.rows, matrix.channels(), statistics.means + ghost_begin,
                         statistics.factors + ghost_begin, bias, outputs + row_begin);
  });
}

// With g the gradient behind the ReLU, d = x - mean, s = 1 / deviation and R rows,
//   dx = weight s (g - sum g / R - d s^2 sum(g d) / R),   dweight = sum over ghosts of s sum(g d),   dbias = sum g.
template <class T>
void Backward(const Matrix& matrix, const T* inputs, const T* gradients, const T* sum_gradient,
              const Statistics& statistics, const float* bias, T* inputs_gradient, float* weight_gradient,
              float* bias_gradient) {
  const int64_t channels = matrix.channels();
  const Matrix::Sums sums = matrix.SumOverGhosts([&](const Matrix::Block& block, int64_t row_begin, int64_t ghost_begin,
                                                     float* first, float* second) {
    Kernels<T>().backward_sums(inputs + row_begin, gradients + row_begin, block.rows, channels,
                               statistics.means + ghost_begin, statistics.factors + ghost_begin, bias, first, second);
  });

  std::vector<float> offsets(sums.first.size());
  std::vector<float> slopes(sums.first.size());
  std::vector<double> bias_sum(channels);
  std::vector<double> weight_sum(channels);
  for (size_t k = 0; k < matrix.ghosts().size(); ++k) {
    // Where there was no variance the running statistics were used, which do not depend on the inputs.
    const int64_t rows = matrix.ghosts()[k].rows;
    const double share = rows > 1 ? 1 / static_cast<double>(rows) : 0;
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t i = static_cast<int64_t>(k) * channels + c;
      const double inverse_deviation = statistics.inverse_deviations[i];
      const double weight_part = inverse_deviation * sums.second[i];
      bias_sum[c] += sums.first[i];
      weight_sum[c] += weight_part;
      offsets[i] = static_cast<float>(statistics.factors[i] * share * sums.first[i]);
      slopes[i] = static_cast<float>(statistics.factors[i] * share * inverse_deviation * weight_part);
    }
  }
  std::copy(bias_sum.begin(), bias_sum.end(), bias_gradient);
  std::copy(weight_sum.begin(), weight_sum.end(), weight_gradient);

  matrix.ForEachBlock([&](const Matrix::Block& block, int64_t row_begin, int64_t ghost_begin) {
    Kernels<T>().backward(inputs + row_begin, gradients + row_begin, block.rows, channels,
                          statistics.means + ghost_begin, statistics.factors + ghost_begin, bias,
                          offsets.data() + ghost_begin, slopes.data() + ghost_begin,
                          sum_gradient == nullptr ? nullptr : sum_gradient + row_begin, inputs_gradient + row_begin);
  });
}

// The data as the kernels take them: calls work with a null pointer of that type.
template <class Work>
void WithType(const at::Tensor& tensor, const Work& work) {
  if (tensor.scalar_type() == at::kFloat) {
    work(static_cast<float*>(nullptr));
  } else {
    work(static_cast<uint16_t*>(nullptr));
  }
}

template <class T>
T* Data(const at::Tensor& tensor, T* /*type*/) {
  return static_cast<T*>(tensor.mutable_data_ptr());
}
template <class T>
const T* ConstData(const at::Tensor& tensor, T* /*type*/) {
  return tensor.defined() ? static_cast<const T*>(tensor.const_data_ptr()) : nullptr;
}

at::MemoryFormat FormatOf(const at::Tensor& inputs) {
  return inputs.dim() == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
}

at::Tensor EmptyLike(const at::Tensor& inputs) {
  return at::cpu::empty(inputs.sizes(), inputs.options().memory_format(FormatOf(inputs)));
}

class NormReluBackward : public LeanNode {
 public:
  // `sum`: of inputs and residual, outside autograd; undefined where there is no residual.
  NormReluBackward(const at::Tensor& inputs, const at::Tensor& residual, const at::Tensor& weight,
                   const at::Tensor& bias, const at::Tensor& sum, std::vector<int64_t> ghosts, at::Tensor statistics)
      : LeanNode(inputs, residual, weight, bias),
        inputs_(sum.defined() ? at::Tensor() : inputs, /*is_output=*/false),
        sum_(sum),
        bias_(bias, /*is_output=*/false),
        ghosts_(std::move(ghosts)),
        statistics_(std::move(statistics)) {}

 private:
  std::vector<at::Tensor> Gradients(const torch::autograd::variable_list& outputs_gradients) override {
    const at::Tensor inputs = sum_.defined() ? sum_ : inputs_.unpack();
    const at::Tensor bias = bias_.unpack();
    const auto as_inputs = [&](const at::Tensor& gradient) {
      return gradient.defined() ? gradient.contiguous(FormatOf(inputs)) : at::zeros_like(inputs);
    };
    const at::Tensor gradients = as_inputs(outputs_gradients[0]);
    at::Tensor sum_gradient;
    if (sum_.defined() && outputs_gradients[1].defined()) sum_gradient = as_inputs(outputs_gradients[1]);
    const Matrix matrix(inputs, ghosts_);
    const at::Tensor inputs_gradient = EmptyLike(inputs);
    const at::Tensor weight_gradient = at::cpu::empty(bias.sizes(), bias.options());
    const at::Tensor bias_gradient = at::cpu::empty(bias.sizes(), bias.options());
    WithType(inputs, [&](auto* type) {
      Backward(matrix, ConstData(inputs, type), ConstData(gradients, type), ConstData(sum_gradient, type),
               Statistics(statistics_), bias.const_data_ptr<float>(), Data(inputs_gradient, type),
               weight_gradient.mutable_data_ptr<float>(), bias_gradient.mutable_data_ptr<float>());
    });
    return {inputs_gradient, sum_.defined() ? inputs_gradient : at::Tensor(), weight_gradient, bias_gradient};
  }
  void Release() override {
    inputs_.reset_data();
    sum_.reset();
    bias_.reset_data();
    statistics_.reset();
  }

  torch::autograd::SavedVariable inputs_;
  at::Tensor sum_;
  torch::autograd::SavedVariable bias_;
  std::vector<int64_t> ghosts_;
  at::Tensor statistics_;
};

struct Results {
  at::Tensor output;
  at::Tensor statistics;
};

// The residual, where there is one, is added to the inputs.
Results Compute(const at::Tensor& inputs, const at::Tensor& residual, const schedule::GhostSizes& ghosts,
                const NormTensors& norm, double momentum, double epsilon) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  const Matrix matrix(inputs, ghosts);
  const at::Tensor statistics = at::cpu::empty({3, static_cast<int64_t>(ghosts.size()), matrix.channels()}, at::kFloat);
  const at::Tensor output = EmptyLike(inputs);
  WithType(inputs, [&](auto* type) {
    Forward(matrix, Data(inputs, type), ConstData(residual, type), norm, momentum, epsilon, Statistics(statistics),
            Data(output, type));
  });
  return {output, statistics};
}

}  // namespace

bool CanNormaliseAndRectify(const at::Tensor& inputs) {
  return inputs.is_cpu() && (inputs.scalar_type() == at::kFloat || inputs.scalar_type() == at::kBFloat16) &&
         (inputs.dim() == 2 || inputs.dim() == 4) && inputs.is_contiguous(FormatOf(inputs));
}

at::Tensor NormaliseAndRectify(const at::Tensor& inputs, const schedule::GhostSizes& ghosts, const NormTensors& norm,
                               double momentum, double epsilon) {
  Results results = Compute(inputs, {}, ghosts, norm, momentum, epsilon);
  return WithHistory<NormReluBackward>(std::move(results.output), inputs, at::Tensor(), norm.weight, norm.bias,
                                       at::Tensor(), ghosts, results.statistics);
}

NormOfSum AddNormaliseAndRectify(const at::Tensor& inputs, const at::Tensor& residual,
                                 const schedule::GhostSizes& ghosts, const NormTensors& norm, double momentum,
                                 double epsilon) {
  const at::Tensor sum = inputs.variable_data();  // the same memory, with a history of its own
  Results results = Compute(sum, residual, ghosts, norm, momentum, epsilon);
  const std::vector<at::Tensor> outputs =
      WithHistory<NormReluBackward>(std::vector<at::Tensor>{results.output, inputs.variable_data()}, inputs, residual,
                                    norm.weight, norm.bias, sum, ghosts, results.statistics);
  return {outputs[0], outputs[1]};
}

}  // namespace crescendo::nn
