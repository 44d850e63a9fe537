// The arithmetic and the indices of ghost_norm.h, for host and device: what is tested on a CPU is what a GPU computes.
//
// A tensor is rows of C channels: a row per example of a table, H W rows per image (channels_last). A ghost is
// consecutive rows, and is cut into chunks so that one ghost alone keeps a GPU busy. Three steps, forward and backward:
// sums over each chunk, from these the ghost's figures, from these the result, element by element.
//
// Sums are fp32 and of distances from a pivot, the ghost's first row: a sum of squares about 0 would lose the variance
// where the mean is large beside the deviation. Chunks are added in a fixed order, so results repeat to the bit.
#pragma once

#include <cmath>
#include <cstdint>

#ifdef __CUDACC__
#define CRESCENDO_HOST_DEVICE __host__ __device__
#else
#define CRESCENDO_HOST_DEVICE
#endif

namespace crescendo::nn {

inline constexpr int64_t kMostGhostsOfALaunch = 65535;  // of a grid's third dimension

struct GhostLayout {
  int64_t ghosts = 0;
  int64_t rows = 0;    // of a ghost that is not one of the larger
  int64_t larger = 0;  // so many ghosts, the first, have one example more,
  int64_t step = 0;    // which is so many rows
  int64_t chunks = 1;  // of each ghost

  CRESCENDO_HOST_DEVICE int64_t RowsOf(int64_t ghost) const { return rows + (ghost < larger ? step : 0); }
  CRESCENDO_HOST_DEVICE int64_t Begin(int64_t ghost) const {
    return ghost * rows + (ghost < larger ? ghost : larger) * step;
  }
  // Chunk `chunk` of a ghost begins here and ends where the next begins, which of the last is the ghost's end.
  CRESCENDO_HOST_DEVICE int64_t ChunkBegin(int64_t ghost, int64_t chunk) const {
    return Begin(ghost) + RowsOf(ghost) * chunk / chunks;
  }
};

// Two sums at a time. Forward: of x - pivot and of its square. Backward: of g and of g (x - mean), g being the gradient
// of z.
struct alignas(8) Sums {
  float first = 0;
  float second = 0;

  CRESCENDO_HOST_DEVICE void Add(const Sums& other) {
    first += other.first;
    second += other.second;
  }
  CRESCENDO_HOST_DEVICE void AddDistance(float distance) {
    first += distance;
    second += distance * distance;
  }
  CRESCENDO_HOST_DEVICE void AddGradient(float gradient, float distance) {
    first += gradient;
    second += gradient * distance;
  }
};

struct GhostStatistics {
  float mean;
  float variance;  // biased
  float inverse_deviation;
};

CRESCENDO_HOST_DEVICE inline GhostStatistics StatisticsOf(const Sums& distances, float pivot, float rows,
                                                          float epsilon) {
  const float mean_distance = distances.first / rows;
  const float variance = distances.second / rows - mean_distance * mean_distance;
  const float not_negative = variance < 0 ? 0 : variance;  // NaN stays NaN
  return {pivot + mean_distance, not_negative, 1 / std::sqrt(not_negative + epsilon)};
}

// r <- (1 - a) r + a s
CRESCENDO_HOST_DEVICE inline float Advanced(float running, float statistic, float momentum) {
  return (1 - momentum) * running + momentum * statistic;
}

// What one channel of one ghost is normalised with.
struct ChannelNorm {
  float mean;
  float scale;  // weight / deviation
  float bias;

  CRESCENDO_HOST_DEVICE float Normalise(float x) const { return (x - mean) * scale + bias; }
};

// NaN stays NaN, so that it reaches the loss, where it ends the run.
CRESCENDO_HOST_DEVICE inline float OutputOf(float z, bool relu) { return relu && z < 0 ? 0 : z; }

// The gradient of z, from that of the output.
CRESCENDO_HOST_DEVICE inline float GradientOfZ(float output_gradient, const ChannelNorm& norm, float x, bool relu) {
  return relu && norm.Normalise(x) <= 0 ? 0 : output_gradient;
}

// What the gradient of one channel of one ghost loses, so that shifting or scaling the whole ghost changes nothing:
// dL/dx = scale (g - mean(g) - x^ mean(g x^)),  x^ = (x - mean) / deviation.
struct ChannelGradient {
  float mean_gradient;  // mean(g)
  float slope;          // mean(g x^) / deviation

  CRESCENDO_HOST_DEVICE float OfInput(float gradient, float x, const ChannelNorm& norm) const {
    return norm.scale * (gradient - mean_gradient - (x - norm.mean) * slope);
  }
};

CRESCENDO_HOST_DEVICE inline ChannelGradient ChannelGradientOf(const Sums& gradients, float inverse_deviation,
                                                               float rows) {
  const float share = 1 / rows;
  return {gradients.first * share, gradients.second * inverse_deviation * inverse_deviation * share};
}

// Which part of a chunk a thread of a GPU has: kWidth channels from `channel` on, in every `lanes`-th row from row
// `lane` on. A block of kGhostNormThreads has one chunk of one ghost, and of its channels a tile: kGhostNormTile, of
// the last tile those that are left. Rows of a tile are whole cache lines in bfloat16. Channels must be a multiple of
// kWidth.
inline constexpr int kGhostNormThreads = 256;
inline constexpr int kGhostNormTile = 64;

CRESCENDO_HOST_DEVICE inline int64_t GhostNormTiles(int64_t channels) {
  return (channels + kGhostNormTile - 1) / kGhostNormTile;
}

template <int kWidth>
struct GhostThread {
  static_assert(kGhostNormTile % kWidth == 0);
  int64_t chunk;
  int64_t ghost;
  int64_t first_channel;  // of the tile
  int groups;             // of kWidth channels, in the tile
  int lanes;
  int lane;
  int64_t channel;

  CRESCENDO_HOST_DEVICE GhostThread(int64_t channels, int64_t its_chunk, int64_t its_ghost, int64_t tile, int thread)
      : chunk(its_chunk), ghost(its_ghost), first_channel(tile * kGhostNormTile) {
    const int64_t left = channels - first_channel;
    groups = static_cast<int>(left < kGhostNormTile ? left : kGhostNormTile) / kWidth;
    lanes = kGhostNormThreads / groups;
    lane = thread / groups;
    channel = first_channel + thread % groups * kWidth;
  }

  CRESCENDO_HOST_DEVICE int tile_channels() const { return groups * kWidth; }

  // The last threads have nothing to do where the groups do not divide the block.
  CRESCENDO_HOST_DEVICE bool used() const { return lane < lanes; }

  // The thread's rows, kRows at a time, so that so many loads are under way at once: visit(the element of its first
  // channel in the first of them, elements to the next row, how many they are). Fewer only at the end.
  template <int kRows, class Visit>
  CRESCENDO_HOST_DEVICE void ForRows(const GhostLayout& layout, int64_t channels, Visit&& visit) const {
    if (!used()) return;
    const int64_t end = layout.ChunkBegin(ghost, chunk + 1);
    const int64_t step = lanes * channels;
    for (int64_t row = layout.ChunkBegin(ghost, chunk) + lane; row < end; row += int64_t{kRows} * lanes) {
      const int64_t left = (end - row + lanes - 1) / lanes;
      visit(row * channels + channel, step, static_cast<int>(left < kRows ? left : kRows));
    }
  }
};

// Pointers for the steps. T: float or c10::BFloat16. Arrays [ghosts, C] are per_ghost, [ghosts, chunks, C] partial.
template <class T>
struct GhostNormForwardJob {
  GhostLayout layout;
  int64_t channels = 0;
  const T* inputs = nullptr;
  const T* residual = nullptr;  // or nullptr
  T* sum = nullptr;             // where there is a residual; otherwise s is the inputs
  T* output = nullptr;
  const float* weight = nullptr;
  const float* bias = nullptr;
  float* running_mean = nullptr;
  float* running_variance = nullptr;
  float* mean = nullptr;               // per ghost
  float* variance = nullptr;           // per ghost, unbiased
  float* inverse_deviation = nullptr;  // per ghost
  Sums* partial = nullptr;
  float momentum = 0;
  float epsilon = 0;
  bool relu = false;

  CRESCENDO_HOST_DEVICE const T* s() const { return residual != nullptr ? sum : inputs; }
  // s at an element, from what it is the sum of; rounded to T, as it is stored.
  CRESCENDO_HOST_DEVICE T SumAt(int64_t element) const {
    if (residual == nullptr) return inputs[element];
    return static_cast<T>(static_cast<float>(inputs[element]) + static_cast<float>(residual[element]));
  }
  CRESCENDO_HOST_DEVICE float Pivot(int64_t ghost, int64_t channel) const {
    return static_cast<float>(SumAt(layout.Begin(ghost) * channels + channel));
  }
  CRESCENDO_HOST_DEVICE ChannelNorm NormOf(int64_t ghost, int64_t channel) const {
    const int64_t place = ghost * channels + channel;
    return {mean[place], weight[channel] * inverse_deviation[place], bias[channel]};
  }
  // Step 2: a ghost's figures from the sums over all of it.
  CRESCENDO_HOST_DEVICE void Finish(int64_t ghost, int64_t channel, const Sums& sums) const {
    const auto rows = static_cast<float>(layout.RowsOf(ghost));
    const GhostStatistics statistics = StatisticsOf(sums, Pivot(ghost, channel), rows, epsilon);
    const int64_t place = ghost * channels + channel;
    mean[place] = statistics.mean;
    variance[place] = statistics.variance * (rows / (rows - 1));
    inverse_deviation[place] = statistics.inverse_deviation;
  }
  // Once all ghosts are finished.
  CRESCENDO_HOST_DEVICE void AdvanceRunning(int64_t channel) const {
    float r_mean = running_mean[channel];
    float r_variance = running_variance[channel];
    for (int64_t ghost = 0; ghost < layout.ghosts; ++ghost) {
      r_mean = Advanced(r_mean, mean[ghost * channels + channel], momentum);
      r_variance = Advanced(r_variance, variance[ghost * channels + channel], momentum);
    }
    running_mean[channel] = r_mean;
    running_variance[channel] = r_variance;
  }
};

template <class T>
struct GhostNormBackwardJob {
  GhostLayout layout;
  int64_t channels = 0;
  const T* s = nullptr;
  const T* output_gradient = nullptr;
  const T* sum_gradient = nullptr;  // or nullptr
  T* result = nullptr;              // the gradient of s
  const float* weight = nullptr;
  const float* bias = nullptr;
  const float* mean = nullptr;               // per ghost
  const float* inverse_deviation = nullptr;  // per ghost
  float* weight_gradient = nullptr;
  float* bias_gradient = nullptr;
  Sums* partial = nullptr;
  Sums* total = nullptr;  // per ghost
  bool relu = false;

  CRESCENDO_HOST_DEVICE ChannelNorm NormOf(int64_t ghost, int64_t channel) const {
    const int64_t place = ghost * channels + channel;
    return {mean[place], weight[channel] * inverse_deviation[place], bias[channel]};
  }
  CRESCENDO_HOST_DEVICE ChannelGradient GradientOf(int64_t ghost, int64_t channel) const {
    const int64_t place = ghost * channels + channel;
    return ChannelGradientOf(total[place], inverse_deviation[place], static_cast<float>(layout.RowsOf(ghost)));
  }
  // Once the sums of all ghosts are in `total`.
  CRESCENDO_HOST_DEVICE void SumParameterGradients(int64_t channel) const {
    float of_weight = 0;
    float of_bias = 0;
    for (int64_t ghost = 0; ghost < layout.ghosts; ++ghost) {
      const int64_t place = ghost * channels + channel;
      of_weight += total[place].second * inverse_deviation[place];
      of_bias += total[place].first;
    }
    weight_gradient[channel] = of_weight;
    bias_gradient[channel] = of_bias;
  }
};

// On the current CUDA stream of the current device. Only in a build with CRESCENDO_CUDA.
template <class T>
void ForwardGhostNormOnGpu(const GhostNormForwardJob<T>& job);
template <class T>
void BackwardGhostNormOnGpu(const GhostNormBackwardJob<T>& job);

}  // namespace crescendo::nn
