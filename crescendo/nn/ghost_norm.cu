// The steps of ghost_norm_math.h on a GPU. The two that go over all elements have a block per chunk of a ghost; a
// thread has a few adjacent channels, sixteen bytes of them where their number allows, and walks down the rows, so that
// the threads of a warp read one stretch of memory and a thread's figures per channel stay in its registers.
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>
#include <c10/util/BFloat16.h>

#include <cstdint>

#include "crescendo/nn/ghost_norm_math.h"

namespace crescendo::nn {
namespace {

constexpr int kThreads = kGhostNormThreads;

template <int kWidth>
__device__ GhostThread<kWidth> ThisThread(int64_t channels) {
  return {channels, blockIdx.x, blockIdx.y, blockIdx.z, static_cast<int>(threadIdx.x)};
}

template <class T, int kWidth>
struct alignas(sizeof(T) * kWidth) Vector {
  T values[kWidth];
};

template <class T, int kWidth>
__device__ Vector<T, kWidth> Load(const T* from) {
  return *reinterpret_cast<const Vector<T, kWidth>*>(from);
}

template <class T, int kWidth>
__device__ void Store(T* to, const Vector<T, kWidth>& vector) {
  *reinterpret_cast<Vector<T, kWidth>*>(to) = vector;
}

// Adds the sums of the block's lanes, in a fixed order, and writes those of its chunk.
template <int kWidth>
__device__ void WritePartial(const GhostThread<kWidth>& place, const Sums (&sums)[kWidth], const GhostLayout& layout,
                             int64_t channels, Sums* partial) {
  __shared__ float first[kWidth][kThreads];
  __shared__ float second[kWidth][kThreads];
  const int thread = static_cast<int>(threadIdx.x);
  for (int i = 0; i < kWidth; ++i) {
    first[i][thread] = sums[i].first;
    second[i][thread] = sums[i].second;
  }
  int reach = 1;
  while (reach < place.lanes) reach *= 2;
  for (reach /= 2; reach > 0; reach /= 2) {
    __syncthreads();
    if (place.lane < reach && place.lane + reach < place.lanes) {
      const int other = thread + reach * place.groups;
      for (int i = 0; i < kWidth; ++i) {
        first[i][thread] += first[i][other];
        second[i][thread] += second[i][other];
      }
    }
  }
  if (place.lane == 0) {
    Sums* chunk = partial + (place.ghost * layout.chunks + place.chunk) * channels + place.channel;
    for (int i = 0; i < kWidth; ++i) chunk[i] = {first[i][thread], second[i][thread]};
  }
}

template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads) ForwardSums(const __grid_constant__ GhostNormForwardJob<T> job) {
  const GhostThread<kWidth> place = ThisThread<kWidth>(job.channels);
  Sums sums[kWidth];
  float pivots[kWidth];
  if (place.used()) {
    for (int i = 0; i < kWidth; ++i) pivots[i] = job.Pivot(place.ghost, place.channel + i);
  }
  place.ForRows(job.layout, job.channels, [&](int64_t element) {
    Vector<T, kWidth> s = Load<T, kWidth>(job.inputs + element);
    if (job.residual != nullptr) {
      const Vector<T, kWidth> residual = Load<T, kWidth>(job.residual + element);
      for (int i = 0; i < kWidth; ++i) {
        s.values[i] = static_cast<T>(static_cast<float>(s.values[i]) + static_cast<float>(residual.values[i]));
      }
      Store<T, kWidth>(job.sum + element, s);
    }
    for (int i = 0; i < kWidth; ++i) sums[i].AddDistance(static_cast<float>(s.values[i]) - pivots[i]);
  });
  WritePartial(place, sums, job.layout, job.channels, job.partial);
}

template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads) ForwardOutput(const __grid_constant__ GhostNormForwardJob<T> job) {
  const GhostThread<kWidth> place = ThisThread<kWidth>(job.channels);
  ChannelNorm norms[kWidth];
  if (place.used()) {
    for (int i = 0; i < kWidth; ++i) norms[i] = job.NormOf(place.ghost, place.channel + i);
  }
  const T* const s = job.s();
  place.ForRows(job.layout, job.channels, [&](int64_t element) {
    Vector<T, kWidth> values = Load<T, kWidth>(s + element);
    for (int i = 0; i < kWidth; ++i) {
      const float z = norms[i].Normalise(static_cast<float>(values.values[i]));
      values.values[i] = static_cast<T>(job.relu && !(z > 0) ? 0.F : z);
    }
    Store<T, kWidth>(job.output + element, values);
  });
}

template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads) BackwardSums(const __grid_constant__ GhostNormBackwardJob<T> job) {
  const GhostThread<kWidth> place = ThisThread<kWidth>(job.channels);
  Sums sums[kWidth];
  ChannelNorm norms[kWidth];
  if (place.used()) {
    for (int i = 0; i < kWidth; ++i) norms[i] = job.NormOf(place.ghost, place.channel + i);
  }
  place.ForRows(job.layout, job.channels, [&](int64_t element) {
    const Vector<T, kWidth> s = Load<T, kWidth>(job.s + element);
    const Vector<T, kWidth> gradient = Load<T, kWidth>(job.output_gradient + element);
    for (int i = 0; i < kWidth; ++i) {
      const float x = static_cast<float>(s.values[i]);
      const float g = GradientOfZ(static_cast<float>(gradient.values[i]), norms[i], x, job.relu);
      sums[i].AddGradient(g, x - norms[i].mean);
    }
  });
  WritePartial(place, sums, job.layout, job.channels, job.partial);
}

template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads) BackwardResult(const __grid_constant__ GhostNormBackwardJob<T> job) {
  const GhostThread<kWidth> place = ThisThread<kWidth>(job.channels);
  ChannelNorm norms[kWidth];
  ChannelGradient lost[kWidth];
  if (place.used()) {
    for (int i = 0; i < kWidth; ++i) {
      norms[i] = job.NormOf(place.ghost, place.channel + i);
      lost[i] = job.GradientOf(place.ghost, place.channel + i);
    }
  }
  place.ForRows(job.layout, job.channels, [&](int64_t element) {
    const Vector<T, kWidth> s = Load<T, kWidth>(job.s + element);
    const Vector<T, kWidth> gradient = Load<T, kWidth>(job.output_gradient + element);
    Vector<T, kWidth> of_sum{};
    if (job.sum_gradient != nullptr) of_sum = Load<T, kWidth>(job.sum_gradient + element);
    Vector<T, kWidth> result;
    for (int i = 0; i < kWidth; ++i) {
      const float x = static_cast<float>(s.values[i]);
      const float g = GradientOfZ(static_cast<float>(gradient.values[i]), norms[i], x, job.relu);
      result.values[i] = static_cast<T>(lost[i].OfInput(g, x, norms[i]) + static_cast<float>(of_sum.values[i]));
    }
    Store<T, kWidth>(job.result + element, result);
  });
}

// Adds the chunks of a ghost: a block for 32 channels of a ghost, whose 32 rows of threads take every 32nd chunk.
constexpr int kFinishLanes = 32;

template <class Finish>
__device__ void ForGhost(const GhostLayout& layout, int64_t channels, const Sums* partial, Finish&& finish) {
  __shared__ float first[kFinishLanes][32];
  __shared__ float second[kFinishLanes][32];
  const int64_t channel = int64_t{blockIdx.x} * 32 + threadIdx.x;
  const int64_t ghost = blockIdx.y;
  const int lane = static_cast<int>(threadIdx.y);
  Sums sums;
  if (channel < channels) {
    for (int64_t chunk = lane; chunk < layout.chunks; chunk += kFinishLanes) {
      sums.Add(partial[(ghost * layout.chunks + chunk) * channels + channel]);
    }
  }
  first[lane][threadIdx.x] = sums.first;
  second[lane][threadIdx.x] = sums.second;
  for (int reach = kFinishLanes / 2; reach > 0; reach /= 2) {
    __syncthreads();
    if (lane < reach) {
      first[lane][threadIdx.x] += first[lane + reach][threadIdx.x];
      second[lane][threadIdx.x] += second[lane + reach][threadIdx.x];
    }
  }
  if (lane == 0 && channel < channels) finish(ghost, channel, Sums{first[0][threadIdx.x], second[0][threadIdx.x]});
}

template <class T>
__global__ void ForwardFinish(const __grid_constant__ GhostNormForwardJob<T> job) {
  ForGhost(job.layout, job.channels, job.partial,
           [&](int64_t ghost, int64_t channel, const Sums& sums) { job.Finish(ghost, channel, sums); });
}

template <class T>
__global__ void BackwardFinish(const __grid_constant__ GhostNormBackwardJob<T> job) {
  ForGhost(job.layout, job.channels, job.partial,
           [&](int64_t ghost, int64_t channel, const Sums& sums) { job.total[ghost * job.channels + channel] = sums; });
}

__device__ int64_t OwnChannel() { return int64_t{blockIdx.x} * blockDim.x + threadIdx.x; }

template <class T>
__global__ void ForwardRunning(const __grid_constant__ GhostNormForwardJob<T> job) {
  if (OwnChannel() < job.channels) job.AdvanceRunning(OwnChannel());
}

template <class T>
__global__ void BackwardParameters(const __grid_constant__ GhostNormBackwardJob<T> job) {
  if (OwnChannel() < job.channels) job.SumParameterGradients(OwnChannel());
}

unsigned Blocks(int64_t count, int64_t per_block) { return static_cast<unsigned>((count + per_block - 1) / per_block); }

template <class T>
constexpr int kVectorWidth = 16 / sizeof(T);

// Whether rows can be read sixteen bytes at a time.
template <class T, class... Pointers>
bool Vectorises(int64_t channels, Pointers... pointers) {
  return channels % kVectorWidth<T> == 0 && ((reinterpret_cast<uintptr_t>(pointers) % 16 == 0) && ...);
}

template <int kWidth>
dim3 GridOf(const GhostLayout& layout, int64_t channels) {
  return dim3(static_cast<unsigned>(layout.chunks), static_cast<unsigned>(layout.ghosts),
              Blocks(channels / kWidth, kThreads));
}

dim3 FinishGridOf(const GhostLayout& layout, int64_t channels) {
  return dim3(Blocks(channels, 32), static_cast<unsigned>(layout.ghosts));
}

template <class T, int kWidth>
void Forward(const GhostNormForwardJob<T>& job) {
  const cudaStream_t stream = c10::cuda::getCurrentCUDAStream();
  const dim3 grid = GridOf<kWidth>(job.layout, job.channels);
  ForwardSums<T, kWidth><<<grid, kThreads, 0, stream>>>(job);
  ForwardFinish<T><<<FinishGridOf(job.layout, job.channels), dim3(32, kFinishLanes), 0, stream>>>(job);
  ForwardRunning<T><<<Blocks(job.channels, kThreads), kThreads, 0, stream>>>(job);
  ForwardOutput<T, kWidth><<<grid, kThreads, 0, stream>>>(job);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

template <class T, int kWidth>
void Backward(const GhostNormBackwardJob<T>& job) {
  const cudaStream_t stream = c10::cuda::getCurrentCUDAStream();
  const dim3 grid = GridOf<kWidth>(job.layout, job.channels);
  BackwardSums<T, kWidth><<<grid, kThreads, 0, stream>>>(job);
  BackwardFinish<T><<<FinishGridOf(job.layout, job.channels), dim3(32, kFinishLanes), 0, stream>>>(job);
  BackwardParameters<T><<<Blocks(job.channels, kThreads), kThreads, 0, stream>>>(job);
  BackwardResult<T, kWidth><<<grid, kThreads, 0, stream>>>(job);
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
