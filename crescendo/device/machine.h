// What this process may use of the machine: not what the machine has. In a container or under taskset the two differ,
// and a thread per core of the machine would then be many times slower than one per core of the process.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace crescendo::device {

// "AMD EPYC 9654 96-Core Processor"; "CPU" where the system does not say. `proc`: for tests.
std::string ProcessorName(const std::filesystem::path& proc = "/proc");

// The cores in the affinity mask, hardware threads of one core counted once (they share the vector unit that the
// operators keep busy), and not more than the CPU time that the control group may use. At least 1. `sys`: for tests.
int64_t UsableCores(const std::filesystem::path& sys = "/sys");

// The machine's memory, or the control group's limit where that is lower.
int64_t UsableMemoryBytes(const std::filesystem::path& sys = "/sys");

// How much of that can be taken now without pushing anything else out: what the system calls available, or what the
// control group has left where that is less. `proc`, `sys`: for tests.
int64_t AvailableMemoryBytes(const std::filesystem::path& proc = "/proc", const std::filesystem::path& sys = "/sys");

// NVIDIA GPUs whose driver is loaded, whether or not this program can use them. `proc`: for tests.
int64_t InstalledGpus(const std::filesystem::path& proc = "/proc");

}  // namespace crescendo::device
