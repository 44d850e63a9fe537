// Where tensors are and what computes on them.
//
//   const at::Device device = ChooseDevice(options.run.device);
//   SetThreads(options.run.threads);
//   model->To(device);
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <optional>
#include <string>

#include "crescendo/config/choices.h"

namespace crescendo::device {

// auto: a GPU, else the CPU. cuda where there is no GPU, or where this program cannot use one, is a UserError that says
// which. Which GPU: the first, or for one of several workers on this machine the one of its number among them;
// UserError where there are fewer.
c10::Device ChooseDevice(config::DeviceName name, int64_t local_rank = 0);

// GPUs this program can train on; 0 where it was built without.
int64_t GpuCount();

// Products and convolutions of fp32 tensors on a GPU are fp32. LibTorch by itself rounds the factors of convolutions to
// TF32, which has the ten fraction bits of fp16: run.precision = bf16 is the way to trade exactness for speed.
void KeepFp32Exact();

// From here on a GPU computes with kernels only that give the same bits each time for the same inputs; an operator that
// has none is a c10::Error that names it. The CPU's all do. To be called before the first work on the device.
void RepeatBits(c10::Device device);

// How many threads the operators compute with on the CPU. nullopt: one per core this process may use. Call it before
// the first operator, on the thread that trains: OpenMP keeps the number per thread.
void SetThreads(std::optional<int64_t> threads);
int64_t Threads();

// "NVIDIA H200, 140 GiB". "" for a CPU.
std::string GpuModel(c10::Device device);

// Which of all GPUs it is, as `nvidia-smi -L` names it: "GPU-8a3f...", the same wherever it is seen from. "" on a CPU.
std::string GpuId(c10::Device device);

// One line for the record of a run: "cpu (AMD EPYC, 2 threads; no GPU found, ...)", "cuda:0 (NVIDIA H200, 140 GiB)".
std::string DescribeDevice(c10::Device device);

// One line: "AMD EPYC, 2 cores, 15.6 GiB". What this process may use of the machine (machine.h).
std::string DescribeMachine();

}  // namespace crescendo::device
