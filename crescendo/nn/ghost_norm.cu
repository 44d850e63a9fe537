// The steps of ghost_norm_math.h on a GPU, two kernels forward and two backward. Each has a block per chunk and tile of
// a ghost; a thread has a few adjacent channels, sixteen bytes of them where their number allows, and walks down the
// rows several at a time. The block of a ghost and tile that finishes last adds up the chunks, in their order.
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>
#include <c10/util/BFloat16.h>
#include <c10/util/Exception.h>

#include <cstdint>
#include <cstring>

#include "crescendo/nn/ghost_norm_math.h"

namespace crescendo::nn {
namespace {

constexpr int kThreads = kGhostNormThreads;

// Of each ghost and tile: how many of its blocks have written their sums. Zero before and after a kernel. All kernels
// of a device share it, so they must not run side by side: one stream at a time.
constexpr int64_t kMostTilesOfGhosts = 1 << 18;
__device__ unsigned arrived[kMostTilesOfGhosts];

template <int kWidth>
__device__ GhostThread<kWidth> ThisThread(int64_t channels) {
  return {channels, blockIdx.y, blockIdx.z, blockIdx.x, static_cast<int>(threadIdx.x)};
}

template <class T, int kWidth>
struct alignas(sizeof(T) * kWidth) Vector {
  T values[kWidth];
};

// nvcc makes four stores of an assignment of sixteen bytes that were computed piece by piece.
__device__ void StoreWord(void* to, const uint4& word) {
  asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};"
               :
               : "l"(__cvta_generic_to_global(to)), "r"(word.x), "r"(word.y), "r"(word.z), "r"(word.w)
               : "memory");
}

template <class T, int kWidth>
__device__ Vector<T, kWidth> Load(const T* from) {
  if constexpr (sizeof(Vector<T, kWidth>) == sizeof(uint4)) {
    const uint4 word = *reinterpret_cast<const uint4*>(from);
    Vector<T, kWidth> vector;
    memcpy(&vector, &word, sizeof(word));
    return vector;
  } else {
    return *reinterpret_cast<const Vector<T, kWidth>*>(from);
  }
}

template <class T, int kWidth>
__device__ void Store(T* to, const Vector<T, kWidth>& vector) {
  if constexpr (sizeof(vector) == sizeof(uint4)) {
    uint4 word;
    memcpy(&word, &vector, sizeof(word));
    StoreWord(to, word);
  } else {
    *reinterpret_cast<Vector<T, kWidth>*>(to) = vector;
  }
}

// visit(0), ..., visit(rows - 1), unrolled: what is indexed by the row stays in registers.
template <int kRows, class Visit>
__device__ void ForEach(int rows, Visit&& visit) {
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    if (r < rows) visit(r);
  }
}

// inputs, or inputs + residual rounded to T.
template <class T, int kWidth, bool kAdds>
__device__ Vector<T, kWidth> SumOf(const Vector<T, kWidth>& inputs, const Vector<T, kWidth>& residual) {
  Vector<T, kWidth> sum = inputs;
  if constexpr (kAdds) {
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      sum.values[i] = static_cast<T>(static_cast<float>(inputs.values[i]) + static_cast<float>(residual.values[i]));
    }
  }
  return sum;
}

// The sums of the block's chunk, in a fixed order: those of channel t of the tile for thread t, where there is one.
template <int kWidth>
__device__ Sums AddLanes(const GhostThread<kWidth>& place, const Sums (&sums)[kWidth]) {
  constexpr int kRow = kThreads + 8;  // rows of the array begin in different banks
  __shared__ float values[2 * kWidth][kRow];
  __shared__ float of_shares[kThreads];
  const int thread = static_cast<int>(threadIdx.x);
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    values[2 * i][thread] = sums[i].first;
    values[2 * i + 1][thread] = sums[i].second;
  }
  __syncthreads();
  const int count = 2 * place.tile_channels();  // of values, at most half of the threads
  const int shares = kThreads / count;          // of the lanes, one for each thread
  const int share = thread / count;
  if (share < shares) {
    const int row = thread % count / place.groups;
    const int group = thread % place.groups;
    const int end = place.lanes * (share + 1) / shares;
    float sum = 0;
    for (int lane = place.lanes * share / shares; lane < end; ++lane) sum += values[row][lane * place.groups + group];
    of_shares[thread] = sum;
  }
  __syncthreads();
  Sums total;
  if (thread < place.tile_channels()) {
    const int first = thread % kWidth * 2 * place.groups + thread / kWidth;
    for (int i = 0; i < shares; ++i)
      total.Add({of_shares[i * count + first], of_shares[i * count + first + place.groups]});
  }
  return total;
}

// finish(ghost, channel, sums over all of the ghost), for each channel of the tile, in the last block of it; `sums` are
// AddLanes'.
template <int kWidth, class Finish>
__device__ void AddChunks(const GhostThread<kWidth>& place, const Sums& sums, const GhostLayout& layout,
                          int64_t channels, Sums* partial, Finish&& finish) {
  const int thread = static_cast<int>(threadIdx.x);
  const int width = place.tile_channels();
  if (layout.chunks == 1) {
    if (thread < width) finish(place.ghost, place.first_channel + thread, sums);
    return;
  }
  auto* of_ghost = reinterpret_cast<float2*>(partial + place.ghost * layout.chunks * channels + place.first_channel);
  if (thread < width) {
    of_ghost[place.chunk * channels + thread] = {sums.first, sums.second};
    __threadfence();
  }
  __shared__ bool is_last;
  __syncthreads();
  if (thread == 0) {
    const auto others = static_cast<unsigned>(layout.chunks - 1);  // after which the counter is zero again
    is_last = atomicInc(&arrived[place.ghost * GhostNormTiles(channels) + blockIdx.x], others) == others;
  }
  __syncthreads();
  if (!is_last) return;
  __threadfence();

  constexpr int kAtOnce = 16;
  const int shares = kThreads / width;
  const int share = thread / width;
  const int chunks = static_cast<int>(layout.chunks);
  Sums of_share;
  if (share < shares) {
    const float2* const of_channel = of_ghost + thread % width;
    const int end = chunks * (share + 1) / shares;
    for (int begin = chunks * share / shares; begin < end; begin += kAtOnce) {
      float2 loaded[kAtOnce];
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        if (begin + i < end)
          loaded[i] = __ldcg(of_channel + (begin + i) * channels);  // not from a stale first-level cache
      }
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        if (begin + i < end) of_share.Add({loaded[i].x, loaded[i].y});
      }
    }
  }
  __shared__ float first[kThreads];
  __shared__ float second[kThreads];
  first[thread] = of_share.first;
  second[thread] = of_share.second;
  __syncthreads();
  if (thread < width) {
    Sums total;
    for (int i = 0; i < shares; ++i) total.Add({first[i * width + thread], second[i * width + thread]});
    finish(place.ghost, place.first_channel + thread, total);
  }
}

template <class T, int kWidth, bool kAdds>
__global__ void __launch_bounds__(kThreads) ForwardSums(const __grid_constant__ GhostNormForwardJob<T> job) {
  constexpr int kRows = 4;
  const GhostThread<kWidth> place = ThisThread<kWidth>(job.channels);
  Sums sums[kWidth];
  if (place.used()) {
    const auto sum_at = [&](int64_t element) {
      const Vector<T, kWidth> inputs = Load<T, kWidth>(job.inputs + element);
      return SumOf<T, kWidth, kAdds>(inputs, kAdds ? Load<T, kWidth>(job.residual + element) : inputs);
    };
    const Vector<T, kWidth> pivots = sum_at(job.layout.Begin(place.ghost) * job.channels + place.channel);
    place.template ForRows<kRows>(job.layout, job.channels, [&](int64_t element, int64_t step, int rows) {
      Vector<T, kWidth> s[kRows];
      Vector<T, kWidth> residual[kRows];
      ForEach<kRows>(rows, [&](int r) {
        s[r] = Load<T, kWidth>(job.inputs + element + r * step);
        if constexpr (kAdds) residual[r] = Load<T, kWidth>(job.residual + element + r * step);
      });
      ForEach<kRows>(rows, [&](int r) {
        if constexpr (kAdds) {
          s[r] = SumOf<T, kWidth, kAdds>(s[r], residual[r]);
          Store<T, kWidth>(job.sum + element + r * step, s[r]);
        }
#pragma unroll
        for (int i = 0; i < kWidth; ++i) {
          sums[i].AddDistance(static_cast<float>(s[r].values[i]) - static_cast<float>(pivots.values[i]));
        }
      });
    });
  }
  AddChunks(place, AddLanes(place, sums), job.layout, job.channels, job.partial,
            [&](int64_t ghost, int64_t channel, const Sums& all) { job.Finish(ghost, channel, all); });
}

// One block for each tile has this to do beside its rows.
template <int kWidth, class ForChannel>
__device__ void ForChannelsOnce(const GhostThread<kWidth>& place, ForChannel&& for_channel) {
  if (place.ghost == 0 && place.chunk == 0 && static_cast<int>(threadIdx.x) < place.tile_channels()) {
    for_channel(place.first_channel + threadIdx.x);
  }
}

template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads) ForwardOutput(const __grid_constant__ GhostNormForwardJob<T> job) {
  constexpr int kRows = 4;
  const GhostThread<kWidth> place = ThisThread<kWidth>(job.channels);
  if (place.used()) {
    ChannelNorm norms[kWidth];
#pragma unroll
    for (int i = 0; i < kWidth; ++i) norms[i] = job.NormOf(place.ghost, place.channel + i);
    const T* const s = job.s();
    place.template ForRows<kRows>(job.layout, job.channels, [&](int64_t element, int64_t step, int rows) {
      Vector<T, kWidth> values[kRows];
      ForEach<kRows>(rows, [&](int r) { values[r] = Load<T, kWidth>(s + element + r * step); });
      ForEach<kRows>(rows, [&](int r) {
#pragma unroll
        for (int i = 0; i < kWidth; ++i) {
          const float z = norms[i].Normalise(static_cast<float>(values[r].values[i]));
          values[r].values[i] = static_cast<T>(OutputOf(z, job.relu));
        }
        Store<T, kWidth>(job.output + element + r * step, values[r]);
      });
    });
  }
  ForChannelsOnce(place, [&](int64_t channel) { job.AdvanceRunning(channel); });
}

template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads, 2) BackwardSums(const __grid_constant__ GhostNormBackwardJob<T> job) {
  constexpr int kRows = 4;
  const GhostThread<kWidth> place = ThisThread<kWidth>(job.channels);
  Sums sums[kWidth];
  if (place.used()) {
    ChannelNorm norms[kWidth];
#pragma unroll
    for (int i = 0; i < kWidth; ++i) norms[i] = job.NormOf(place.ghost, place.channel + i);
    place.template ForRows<kRows>(job.layout, job.channels, [&](int64_t element, int64_t step, int rows) {
      Vector<T, kWidth> s[kRows];
      Vector<T, kWidth> gradients[kRows];
      ForEach<kRows>(rows, [&](int r) {
        s[r] = Load<T, kWidth>(job.s + element + r * step);
        gradients[r] = Load<T, kWidth>(job.output_gradient + element + r * step);
      });
      ForEach<kRows>(rows, [&](int r) {
#pragma unroll
        for (int i = 0; i < kWidth; ++i) {
          const float x = static_cast<float>(s[r].values[i]);
          const float g = GradientOfZ(static_cast<float>(gradients[r].values[i]), norms[i], x, job.relu);
          sums[i].AddGradient(g, x - norms[i].mean);
        }
      });
    });
  }
  AddChunks(place, AddLanes(place, sums), job.layout, job.channels, job.partial,
            [&](int64_t ghost, int64_t channel, const Sums& all) { job.total[ghost * job.channels + channel] = all; });
}

template <class T, int kWidth, bool kAdds>
__global__ void __launch_bounds__(kThreads, 2) BackwardResult(const __grid_constant__ GhostNormBackwardJob<T> job) {
  constexpr int kRows = kAdds ? 2 : 4;
  const GhostThread<kWidth> place = ThisThread<kWidth>(job.channels);
  if (place.used()) {
    ChannelNorm norms[kWidth];
    ChannelGradient lost[kWidth];
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      norms[i] = job.NormOf(place.ghost, place.channel + i);
      lost[i] = job.GradientOf(place.ghost, place.channel + i);
    }
    place.template ForRows<kRows>(job.layout, job.channels, [&](int64_t element, int64_t step, int rows) {
      Vector<T, kWidth> s[kRows];
      Vector<T, kWidth> gradients[kRows];
      Vector<T, kWidth> of_sum[kRows];
      ForEach<kRows>(rows, [&](int r) {
        s[r] = Load<T, kWidth>(job.s + element + r * step);
        gradients[r] = Load<T, kWidth>(job.output_gradient + element + r * step);
        if constexpr (kAdds) of_sum[r] = Load<T, kWidth>(job.sum_gradient + element + r * step);
      });
      ForEach<kRows>(rows, [&](int r) {
        Vector<T, kWidth> result;
#pragma unroll
        for (int i = 0; i < kWidth; ++i) {
          const float x = static_cast<float>(s[r].values[i]);
          const float g = GradientOfZ(static_cast<float>(gradients[r].values[i]), norms[i], x, job.relu);
          float gradient = lost[i].OfInput(g, x, norms[i]);
          if constexpr (kAdds) gradient += static_cast<float>(of_sum[r].values[i]);
          result.values[i] = static_cast<T>(gradient);
        }
        Store<T, kWidth>(job.result + element + r * step, result);
      });
    });
  }
  ForChannelsOnce(place, [&](int64_t channel) { job.SumParameterGradients(channel); });
}

template <class T>
constexpr int kVectorWidth = 16 / sizeof(T);

// Whether rows can be read sixteen bytes at a time.
template <class T, class... Pointers>
bool Vectorises(int64_t channels, Pointers... pointers) {
  return channels % kVectorWidth<T> == 0 && ((reinterpret_cast<uintptr_t>(pointers) % 16 == 0) && ...);
}

// The tiles of a row are side by side in time too.
dim3 GridOf(const GhostLayout& layout, int64_t channels) {
  const int64_t tiles = GhostNormTiles(channels);
  TORCH_INTERNAL_ASSERT(layout.ghosts <= kMostGhostsOfALaunch &&
                        (layout.chunks == 1 || layout.ghosts * tiles <= kMostTilesOfGhosts));
  return dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(layout.chunks), static_cast<unsigned>(layout.ghosts));
}

template <class T, int kWidth>
void Forward(const GhostNormForwardJob<T>& job) {
  const cudaStream_t stream = c10::cuda::getCurrentCUDAStream();
  const dim3 grid = GridOf(job.layout, job.channels);
  if (job.residual != nullptr) {
    ForwardSums<T, kWidth, true><<<grid, kThreads, 0, stream>>>(job);
  } else {
    ForwardSums<T, kWidth, false><<<grid, kThreads, 0, stream>>>(job);
  }
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  ForwardOutput<T, kWidth><<<grid, kThreads, 0, stream>>>(job);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

template <class T, int kWidth>
void Backward(const GhostNormBackwardJob<T>& job) {
  const cudaStream_t stream = c10::cuda::getCurrentCUDAStream();
  const dim3 grid = GridOf(job.layout, job.channels);
  BackwardSums<T, kWidth><<<grid, kThreads, 0, stream>>>(job);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  if (job.sum_gradient != nullptr) {
    BackwardResult<T, kWidth, true><<<grid, kThreads, 0, stream>>>(job);
  } else {
    BackwardResult<T, kWidth, false><<<grid, kThreads, 0, stream>>>(job);
  }
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace

template <class T>
void ForwardGhostNormOnGpu(const GhostNormForwardJob<T>& job) {
  if (Vectorises<T>(job.channels, job.inputs, job.residual, job.sum, job.output)) {
    Forward<T, kVectorWidth<T>>(job);
  } else {
    Forward<T, 1>(job);
  }
}

template <class T>
void BackwardGhostNormOnGpu(const GhostNormBackwardJob<T>& job) {
  if (Vectorises<T>(job.channels, job.s, job.output_gradient, job.sum_gradient, job.result)) {
    Backward<T, kVectorWidth<T>>(job);
  } else {
    Backward<T, 1>(job);
  }
}

template void ForwardGhostNormOnGpu(const GhostNormForwardJob<float>& job);
template void ForwardGhostNormOnGpu(const GhostNormForwardJob<c10::BFloat16>& job);
template void BackwardGhostNormOnGpu(const GhostNormBackwardJob<float>& job);
template void BackwardGhostNormOnGpu(const GhostNormBackwardJob<c10::BFloat16>& job);

}  // namespace crescendo::nn
