#include "crescendo/device/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <cstdlib>

#ifdef CRESCENDO_CUDA
#include <c10/cuda/CUDAFunctions.h>
#endif

#include "crescendo/base/error.h"
#include "crescendo/device/machine.h"

namespace crescendo::device {
namespace {

#ifdef CRESCENDO_CUDA
constexpr bool kBuiltForGpus = true;
#else
constexpr bool kBuiltForGpus = false;
#endif

#ifdef CRESCENDO_CUDA
// From CUDA's way to write it: 13000 is 13.0.
std::string CudaVersion(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }
#endif

// Why no GPU can be used, in a few words; "" where one can.
std::string WhyNoGpu() {
#ifdef CRESCENDO_CUDA
  int count = 0;
  const cudaError_t status = c10::cuda::GetDeviceCount(&count);
  if (status == cudaSuccess && count > 0) return "";
  (void)cudaGetLastError();  // or the next call would report it again
  int driver = 0;
  (void)cudaDriverGetVersion(&driver);
  if (driver == 0) return "no GPU found, no NVIDIA driver is loaded";
  if (status == cudaErrorInsufficientDriver) {
    return fmt::format("the NVIDIA driver is too old: it knows CUDA up to {}, this program is built with {}",
                       CudaVersion(driver), CudaVersion(CUDART_VERSION));
  }
  return fmt::format("no GPU found ({})", status == cudaSuccess ? "CUDA sees none" : cudaGetErrorString(status));
#else
  return InstalledGpus() > 0 ? "there is a GPU, and this program was built without GPU support"
                             : "no GPU found, and built without GPU support";
#endif
}

#ifdef CRESCENDO_CUDA
cudaDeviceProp PropertiesOf(c10::Device gpu) {
  cudaDeviceProp properties{};
  C10_CUDA_CHECK(cudaGetDeviceProperties(&properties, gpu.index()));
  return properties;
}
#endif

}  // namespace

std::string GpuModel([[maybe_unused]] c10::Device device) {
#ifdef CRESCENDO_CUDA
  if (device.is_cuda()) {
    const cudaDeviceProp properties = PropertiesOf(device);
    return fmt::format("{}, {:.0f} GiB", properties.name, static_cast<double>(properties.totalGlobalMem) / 0x1p30);
  }
#endif
  return "";
}

std::string GpuId([[maybe_unused]] c10::Device device) {
#ifdef CRESCENDO_CUDA
  if (device.is_cuda()) {
    const cudaDeviceProp properties = PropertiesOf(device);
    std::string id = "GPU";
    for (size_t i = 0; i < sizeof(properties.uuid.bytes); ++i) {
      const bool begins_a_group = i == 0 || i == 4 || i == 6 || i == 8 || i == 10;
      id += fmt::format("{}{:02x}", begins_a_group ? "-" : "", static_cast<uint8_t>(properties.uuid.bytes[i]));
    }
    return id;
  }
#endif
  return "";
}

c10::Device ChooseDevice(config::DeviceName name, [[maybe_unused]] int64_t local_rank) {
  if (name == config::DeviceName::kCpu) return c10::Device(c10::kCPU);
  const std::string why_not = WhyNoGpu();
#ifdef CRESCENDO_CUDA
  if (why_not.empty()) {
    if (local_rank >= c10::cuda::device_count()) {
      throw UserError(
          fmt::format("this is worker {} on this machine, which has {} GPUs, and each needs one of its own; "
                      "start fewer, or run.device = cpu",
                      local_rank + 1, static_cast<int>(c10::cuda::device_count())));
    }
    const auto gpu = static_cast<c10::DeviceIndex>(local_rank);
    c10::cuda::set_device(gpu);
    return c10::Device(c10::kCUDA, gpu);
  }
#endif
  if (name == config::DeviceName::kAuto) return c10::Device(c10::kCPU);
  throw UserError(fmt::format("run.device = cuda cannot be used: {}; run.device = auto or cpu trains on the CPU ({}){}",
                              why_not, ProcessorName(),
                              kBuiltForGpus ? "" : ", `cmake --preset cuda` builds a crescendo that uses a GPU"));
}

int64_t GpuCount() {
#ifdef CRESCENDO_CUDA
  int count = 0;
  if (c10::cuda::GetDeviceCount(&count) == cudaSuccess) return count;
  (void)cudaGetLastError();
#endif
  return 0;
}

void KeepFp32Exact() {
  at::globalContext().setAllowTF32CuDNN(false);
  at::globalContext().setAllowTF32CuBLAS(false);
}

void RepeatBits(c10::Device device) {
  if (!device.is_cuda()) return;
  // cuBLAS repeats its bits only with a workspace of its own for each stream, and reads this when it is first used.
  (void)::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  at::globalContext().setBenchmarkCuDNN(false);
  at::globalContext().setDeterministicCuDNN(true);
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  at::globalContext().setDeterministicFillUninitializedMemory(false);  // which is for finding faults
}

void SetThreads(std::optional<int64_t> threads) {
  at::set_num_threads(static_cast<int>(threads.value_or(UsableCores())));
}

int64_t Threads() { return at::get_num_threads(); }

std::string DescribeDevice(c10::Device device) {
  if (!device.is_cpu()) return fmt::format("{} ({})", device.str(), GpuModel(device));
  const std::string why_no_gpu = WhyNoGpu();
  return fmt::format("cpu ({}, {} {}{})", ProcessorName(), Threads(), Threads() == 1 ? "thread" : "threads",
                     why_no_gpu.empty() ? "" : "; " + why_no_gpu);
}

std::string DescribeMachine() {
  const int64_t cores = UsableCores();
  return fmt::format("{}, {} {}, {:.1f} GiB", ProcessorName(), cores, cores == 1 ? "core" : "cores",
                     static_cast<double>(UsableMemoryBytes()) / 0x1p30);
}

}  // namespace crescendo::device
