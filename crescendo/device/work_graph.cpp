#include "crescendo/device/work_graph.h"

#include <utility>
#include <vector>

#ifdef CRESCENDO_CUDA
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#endif

#include "crescendo/base/error.h"
#include "crescendo/device/memory.h"

namespace crescendo::device {

#ifdef CRESCENDO_CUDA

struct OwnStream::Guard {
  explicit Guard(c10::Device device) : guard(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index())) {}
  c10::cuda::CUDAStreamGuard guard;
};

struct WorkGraphs::Recorded {
  std::vector<std::function<void()>> on_cpu;
  std::vector<std::unique_ptr<at::cuda::CUDAGraph>> on_gpu;
  std::vector<std::unique_ptr<at::cuda::CUDAGraph>> failed;
  c10::MempoolId_t memory{0, 0};  // {0, 0}: of the first graph's own making
};

#else

struct OwnStream::Guard {};

struct WorkGraphs::Recorded {
  std::vector<std::function<void()>> on_cpu;
};

#endif

OwnStream::OwnStream([[maybe_unused]] c10::Device device) {
#ifdef CRESCENDO_CUDA
  if (!device.is_cuda()) return;
  c10::cuda::device_synchronize();
  guard_ = std::make_unique<Guard>(device);
#endif
}

#ifdef CRESCENDO_CUDA
OwnStream::~OwnStream() {
  if (!guard_) return;
  try {
    c10::cuda::device_synchronize();
  } catch (const c10::Error&) {  // the device is lost, which whoever uses it next is told
  }
}
#else
OwnStream::~OwnStream() = default;
#endif

WorkGraphs::WorkGraphs(c10::Device device) : device_(device), recorded_(std::make_unique<Recorded>()) {}

WorkGraphs::~WorkGraphs() = default;

size_t WorkGraphs::Record(std::function<void()> work) {
#ifdef CRESCENDO_CUDA
  if (device_.is_cuda()) {
    // What was kept from running the same work unrecorded would stand beside the graphs' own memory.
    c10::cuda::device_synchronize();
    ReleaseKeptMemory(device_);
    auto graph = std::make_unique<at::cuda::CUDAGraph>();
    // Only this thread's calls are held to what may be recorded: the loader's threads take page-locked memory
    // meanwhile.
    graph->capture_begin(recorded_->memory, cudaStreamCaptureModeThreadLocal);
    try {
      work();
    } catch (...) {
      try {
        graph->capture_end();
      } catch (const c10::Error&) {  // of the recording that has failed
      }
      recorded_->failed.push_back(std::move(graph));  // LibTorch's allocator may still ask it
      throw;
    }
    graph->capture_end();
    recorded_->memory = graph->pool();
    recorded_->on_gpu.push_back(std::move(graph));
    return recorded_->on_gpu.size() - 1;
  }
#endif
  CRESCENDO_ASSERT(device_.is_cpu(), "work is recorded on a GPU, or called on a CPU");
  recorded_->on_cpu.push_back(std::move(work));
  return recorded_->on_cpu.size() - 1;
}

void WorkGraphs::Replay(size_t graph) {
#ifdef CRESCENDO_CUDA
  if (device_.is_cuda()) {
    recorded_->on_gpu.at(graph)->replay();
    return;
  }
#endif
  recorded_->on_cpu.at(graph)();
}

void WorkGraphs::Clear() {
#ifdef CRESCENDO_CUDA
  if (device_.is_cuda()) c10::cuda::device_synchronize();  // replays may still be under way
#endif
  *recorded_ = {};
}

}  // namespace crescendo::device
