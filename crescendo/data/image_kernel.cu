// Compiled with -fmad=false (CMakeLists.txt): a fused multiply-add would round once where the CPU rounds twice.
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>

#include "crescendo/data/image_kernel.h"

namespace crescendo::data {
namespace {

constexpr int kThreads = 256;

// A block per image, a thread per pixel: its bytes are read along rows and its channels written side by side. Each
// thread draws the placement anew, which costs it less than waiting for another thread's.
__global__ void __launch_bounds__(kThreads) WriteImagesKernel(const __grid_constant__ ImageJob job) {
  const auto pixels = static_cast<int32_t>(job.shape.height * job.shape.width);
  const int64_t i = blockIdx.x;
  const Placement placement = DrawPlacement(job.augment, job.key, job.examples[i]);
  for (auto pixel = static_cast<int32_t>(threadIdx.x); pixel < pixels; pixel += kThreads) {
    WritePixel(job, i, placement, pixel);
  }
}

}  // namespace

void WriteImagesOnGpu(const ImageJob& job) {
  if (job.count == 0) return;
  WriteImagesKernel<<<static_cast<unsigned>(job.count), kThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(job);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace crescendo::data
