// The inner loops of batch norm followed by ReLU on a CPU.
//
// They work on a matrix [rows, channels], rows one after the other: a table, or images in channels_last order, where a
// row is a pixel. Arithmetic is fp32 whatever the matrix is. Each channel is by itself and goes through the rows in
// order, so what comes out depends on nothing but the rows. A call is one thread's share of work.
//
// norm_kernels.cpp is compiled once for each instruction set, into one set of kernels each.
#pragma once

#include <cstdint>

namespace crescendo::nn {

// T: float, or uint16_t for the bits of a bfloat16.
template <class T>
struct NormKernels {
  // sums += sum_rows (x - centres), squares += sum_rows (x - centres)^2.
  void (*sums)(const T* inputs, int64_t rows, int64_t channels, const float* centres, float* sums, float* squares);

  // The same with inputs += residual before it, in the type of both.
  void (*add_and_sums)(T* inputs, const T* residual, int64_t rows, int64_t channels, const float* centres, float* sums,
                       float* squares);

  // outputs = max(z, 0), z = (x - means) * factors + shifts. NaN stays NaN.
  void (*forward)(const T* inputs, int64_t rows, int64_t channels, const float* means, const float* factors,
                  const float* shifts, T* outputs);

  // With g the gradient where z > 0, and 0 elsewhere: sums += sum_rows g, products += sum_rows g (x - means).
  void (*backward_sums)(const T* inputs, const T* gradients, int64_t rows, int64_t channels, const float* means,
                        const float* factors, const float* shifts, float* sums, float* products);

  // inputs_gradient = factors * g - offsets - slopes * (x - means) + sum_gradient; the latter may be null, for 0.
  void (*backward)(const T* inputs, const T* gradients, int64_t rows, int64_t channels, const float* means,
                   const float* factors, const float* shifts, const float* offsets, const float* slopes,
                   const T* sum_gradient, T* inputs_gradient);
};

struct NormKernelSet {
  NormKernels<float> fp32;
  NormKernels<uint16_t> bf16;
};

extern const NormKernelSet kBaselineNormKernels;
#ifdef CRESCENDO_X86_KERNELS
extern const NormKernelSet kAvx2NormKernels;
extern const NormKernelSet kAvx512NormKernels;
extern const NormKernelSet kAvx512Bf16NormKernels;
#endif

}  // namespace crescendo::nn
