// Compiled once for each instruction set; CRESCENDO_NORM_KERNELS is the name of the result
// (CMakeLists.txt). No header with inline functions may be included here: the linker would keep one copy of them,
// perhaps one that this processor cannot run.
#include "crescendo/nn/norm_kernels.h"

#ifdef __AVX512BF16__
#include <immintrin.h>  // whose functions are always inlined
#endif

namespace crescendo::nn {
namespace {

#if defined(__AVX512F__)
constexpr int64_t kLanes = 16;
#elif defined(__AVX2__)
constexpr int64_t kLanes = 8;
#else
constexpr int64_t kLanes = 4;
#endif

// W floats, and their bits, in a register.
template <int64_t W>
struct Register {
  typedef float Floats __attribute__((vector_size(sizeof(float) * W)));        // NOLINT(modernize-use-using)
  typedef uint32_t Bits __attribute__((vector_size(sizeof(uint32_t) * W)));    // NOLINT(modernize-use-using)
  typedef uint16_t Halves __attribute__((vector_size(sizeof(uint16_t) * W)));  // NOLINT(modernize-use-using)
};
template <int64_t W>
using Floats = typename Register<W>::Floats;

template <int64_t W>
Floats<W> Load(const float* from) {
  Floats<W> values;
  __builtin_memcpy(&values, from, sizeof(values));
  return values;
}

template <int64_t W>
Floats<W> Load(const uint16_t* from) {
  typename Register<W>::Halves halves;
  __builtin_memcpy(&halves, from, sizeof(halves));
  const auto bits = __builtin_convertvector(halves, typename Register<W>::Bits) << 16;
  return __builtin_bit_cast(Floats<W>, bits);
}

template <int64_t W>
void Store(const Floats<W>& values, float* to) {
  __builtin_memcpy(to, &values, sizeof(values));
}

// To the nearest bfloat16, ties to even.
template <int64_t W>
void Store(const Floats<W>& values, uint16_t* to) {
#ifdef __AVX512BF16__
  // One instruction; what is subnormal in fp32 becomes 0.
  if constexpr (W == kLanes) {
    const __m256bh halves = _mm512_cvtneps_pbh(values);
    __builtin_memcpy(to, &halves, sizeof(halves));
    return;
  }
#endif
  const auto bits = __builtin_bit_cast(typename Register<W>::Bits, values);
  auto rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  // Not equal to itself is NaN, which rounding could turn into infinity.
  rounded = values == values ? rounded : (bits >> 16) | 0x40U;  // NOLINT(misc-redundant-expression)
  const auto halves = __builtin_convertvector(rounded, typename Register<W>::Halves);
  __builtin_memcpy(to, &halves, sizeof(halves));
}

// Calls tile<W, U>(begin) for every U * W channels from `begin` on: four registers beside each other for as long as
// they last, so that additions need not wait for each other and memory is read in longer stretches, then one, then
// single channels.
template <class Tile>
void ForEachTile(int64_t channels, const Tile& tile) {
  int64_t begin = 0;
  for (; begin + 4 * kLanes <= channels; begin += 4 * kLanes) tile.template operator()<kLanes, 4>(begin);
  for (; begin + kLanes <= channels; begin += kLanes) tile.template operator()<kLanes, 1>(begin);
  for (; begin < channels; ++begin) tile.template operator()<1, 1>(begin);
}

// Calls part(begin, end) for rows of which three matrices' stay in the first-level cache while every tile goes over
// them.
template <class T, class Part>
void ForEachPart(int64_t rows, int64_t channels, const Part& part) {
  constexpr int64_t kElements = 8192 / sizeof(T);
  const int64_t step = channels < kElements ? kElements / channels : 1;
  for (int64_t begin = 0; begin < rows; begin += step) part(begin, begin + step < rows ? begin + step : rows);
}

// Where the sums' values come from.
template <class T>
struct Inputs {
  const T* values;

  template <int64_t W>
  Floats<W> At(int64_t place) const {
    return Load<W>(values + place);
  }
};
template <class T>
struct InputsAndResidual {
  T* values;
  const T* residual;

  // As it will be read again: rounded to T.
  template <int64_t W>
  Floats<W> At(int64_t place) const {
    Store<W>(Load<W>(values + place) + Load<W>(residual + place), values + place);
    return Load<W>(values + place);
  }
};

template <class T, class Source>
void SumsOf(const Source& source, int64_t rows, int64_t channels, const float* centres, float* sums, float* squares) {
  ForEachPart<T>(rows, channels, [=](int64_t first, int64_t last) {
    ForEachTile(channels, [=]<int64_t W, int64_t U>(int64_t begin) {
      Floats<W> centre[U], sum[U], square[U];
      for (int64_t u = 0; u < U; ++u) {
        centre[u] = Load<W>(centres + begin + u * W);
        sum[u] = Load<W>(sums + begin + u * W);
        square[u] = Load<W>(squares + begin + u * W);
      }
      for (int64_t row = first; row < last; ++row) {
        for (int64_t u = 0; u < U; ++u) {
          const Floats<W> centred = source.template At<W>(row * channels + begin + u * W) - centre[u];
          sum[u] += centred;
          square[u] += centred * centred;
        }
      }
      for (int64_t u = 0; u < U; ++u) {
        Store<W>(sum[u], sums + begin + u * W);
        Store<W>(square[u], squares + begin + u * W);
      }
    });
  });
}

template <class T>
void Sums(const T* inputs, int64_t rows, int64_t channels, const float* centres, float* sums, float* squares) {
  SumsOf<T>(Inputs<T>{inputs}, rows, channels, centres, sums, squares);
}

template <class T>
void AddAndSums(T* inputs, const T* residual, int64_t rows, int64_t channels, const float* centres, float* sums,
                float* squares) {
  SumsOf<T>(InputsAndResidual<T>{inputs, residual}, rows, channels, centres, sums, squares);
}

template <class T>
void Forward(const T* inputs, int64_t rows, int64_t channels, const float* means, const float* factors,
             const float* shifts, T* outputs) {
  ForEachPart<T>(rows, channels, [=](int64_t first, int64_t last) {
    ForEachTile(channels, [=]<int64_t W, int64_t U>(int64_t begin) {
      Floats<W> mean[U], factor[U], shift[U];
      for (int64_t u = 0; u < U; ++u) {
        mean[u] = Load<W>(means + begin + u * W);
        factor[u] = Load<W>(factors + begin + u * W);
        shift[u] = Load<W>(shifts + begin + u * W);
      }
      for (int64_t row = first; row < last; ++row) {
        for (int64_t u = 0; u < U; ++u) {
          const int64_t place = row * channels + begin + u * W;
          const Floats<W> z = (Load<W>(inputs + place) - mean[u]) * factor[u] + shift[u];
          Store<W>(z < 0 ? Floats<W>{} : z, outputs + place);
        }
      }
    });
  });
}

template <class T>
void BackwardSums(const T* inputs, const T* gradients, int64_t rows, int64_t channels, const float* means,
                  const float* factors, const float* shifts, float* sums, float* products) {
  ForEachPart<T>(rows, channels, [=](int64_t first, int64_t last) {
    ForEachTile(channels, [=]<int64_t W, int64_t U>(int64_t begin) {
      Floats<W> mean[U], factor[U], shift[U], sum[U], product[U];
      for (int64_t u = 0; u < U; ++u) {
        mean[u] = Load<W>(means + begin + u * W);
        factor[u] = Load<W>(factors + begin + u * W);
        shift[u] = Load<W>(shifts + begin + u * W);
        sum[u] = Load<W>(sums + begin + u * W);
        product[u] = Load<W>(products + begin + u * W);
      }
      for (int64_t row = first; row < last; ++row) {
        for (int64_t u = 0; u < U; ++u) {
          const int64_t place = row * channels + begin + u * W;
          const Floats<W> centred = Load<W>(inputs + place) - mean[u];
          const Floats<W> gradient = centred * factor[u] + shift[u] > 0 ? Load<W>(gradients + place) : Floats<W>{};
          sum[u] += gradient;
          product[u] += gradient * centred;
        }
      }
      for (int64_t u = 0; u < U; ++u) {
        Store<W>(sum[u], sums + begin + u * W);
        Store<W>(product[u], products + begin + u * W);
      }
    });
  });
}

template <bool kAdds, class T>
void BackwardOf(const T* inputs, const T* gradients, int64_t rows, int64_t channels, const float* means,
                const float* factors, const float* shifts, const float* offsets, const float* slopes,
                const T* sum_gradient, T* inputs_gradient) {
  ForEachPart<T>(rows, channels, [=](int64_t first, int64_t last) {
    ForEachTile(channels, [=]<int64_t W, int64_t U>(int64_t begin) {
      Floats<W> mean[U], factor[U], shift[U], offset[U], slope[U];
      for (int64_t u = 0; u < U; ++u) {
        mean[u] = Load<W>(means + begin + u * W);
        factor[u] = Load<W>(factors + begin + u * W);
        shift[u] = Load<W>(shifts + begin + u * W);
        offset[u] = Load<W>(offsets + begin + u * W);
        slope[u] = Load<W>(slopes + begin + u * W);
      }
      for (int64_t row = first; row < last; ++row) {
        for (int64_t u = 0; u < U; ++u) {
          const int64_t place = row * channels + begin + u * W;
          const Floats<W> centred = Load<W>(inputs + place) - mean[u];
          const Floats<W> gradient = centred * factor[u] + shift[u] > 0 ? Load<W>(gradients + place) : Floats<W>{};
          Floats<W> result = factor[u] * gradient - offset[u] - slope[u] * centred;
          if constexpr (kAdds) result += Load<W>(sum_gradient + place);
          Store<W>(result, inputs_gradient + place);
        }
      }
    });
  });
}

template <class T>
void Backward(const T* inputs, const T* gradients, int64_t rows, int64_t channels, const float* means,
              const float* factors, const float* shifts, const float* offsets, const float* slopes,
              const T* sum_gradient, T* inputs_gradient) {
  const auto backward = sum_gradient != nullptr ? BackwardOf<true, T> : BackwardOf<false, T>;
  backward(inputs, gradients, rows, channels, means, factors, shifts, offsets, slopes, sum_gradient, inputs_gradient);
}

}  // namespace

constinit const NormKernelSet CRESCENDO_NORM_KERNELS = {{Sums, AddAndSums, Forward, BackwardSums, Backward},
                                                        {Sums, AddAndSums, Forward, BackwardSums, Backward}};

}  // namespace crescendo::nn
