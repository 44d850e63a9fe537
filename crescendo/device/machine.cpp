#include "crescendo/device/machine.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <vector>

namespace crescendo::device {
namespace {

namespace fs = std::filesystem;

// The processors, as the system numbers them, that this process may run on.
std::vector<size_t> AllowedProcessors() {
  // A mask of the usual 1024 processors is refused on machines that have more.
  for (size_t capacity = 1024; capacity <= (size_t{1} << 20); capacity *= 2) {
    cpu_set_t* mask = CPU_ALLOC(capacity);
    const size_t bytes = CPU_ALLOC_SIZE(capacity);
    const bool known = ::sched_getaffinity(0, bytes, mask) == 0;
    std::vector<size_t> allowed;
    for (size_t i = 0; known && i < capacity; ++i) {
      if (CPU_ISSET_S(i, bytes, mask)) allowed.push_back(i);
    }
    CPU_FREE(mask);
    if (known) return allowed;
  }
  return {0};
}

// CPU time per time: 2 is two processors. Infinite where nothing limits it. (The file: "200000 100000", or "max
// 100000".)
double CpuQuota(const fs::path& sys) {
  std::ifstream stream(sys / "fs/cgroup/cpu.max");
  double quota = 0;
  double period = 0;
  return stream >> quota >> period && period > 0 ? quota / period : HUGE_VAL;
}

// The number after `name` in a file of lines such as "MemAvailable:   8000000 kB"; nothing where there is none.
std::optional<int64_t> NumberAfter(const fs::path& file, const std::string& name) {
  std::ifstream stream(file);
  for (std::string word; stream >> word;) {
    int64_t number = 0;
    if (word == name && stream >> number) return number;
  }
  return std::nullopt;
}

// A file that is one number, or "max".
std::optional<int64_t> OnlyNumber(const fs::path& file) {
  std::ifstream stream(file);
  int64_t number = 0;
  return stream >> number && number > 0 ? std::optional(number) : std::nullopt;
}

}  // namespace

std::string ProcessorName(const fs::path& proc) {
  std::ifstream stream(proc / "cpuinfo");
  for (std::string line; std::getline(stream, line);) {
    const size_t value = line.find(": ");
    if (line.starts_with("model name") && value != std::string::npos) return line.substr(value + 2);
  }
  return "CPU";
}

int64_t UsableCores(const fs::path& sys) {
  std::set<std::string> cores;
  for (const size_t processor : AllowedProcessors()) {
    std::ifstream stream(sys / fmt::format("devices/system/cpu/cpu{}/topology/thread_siblings_list", processor));
    std::string siblings;
    if (!std::getline(stream, siblings)) siblings = std::to_string(processor);
    cores.insert(siblings);
  }
  const double quota = std::max(1.0, std::floor(CpuQuota(sys)));
  return static_cast<int64_t>(std::min(static_cast<double>(std::max(size_t{1}, cores.size())), quota));
}

int64_t UsableMemoryBytes(const fs::path& sys) {
  const int64_t machine = int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE);
  return std::min(machine, OnlyNumber(sys / "fs/cgroup/memory.max").value_or(machine));
}

int64_t AvailableMemoryBytes(const fs::path& proc, const fs::path& sys) {
  const std::optional<int64_t> kilobytes = NumberAfter(proc / "meminfo", "MemAvailable:");
  int64_t available = kilobytes ? *kilobytes * 1024 : UsableMemoryBytes(sys);
  const fs::path group = sys / "fs/cgroup";
  if (const std::optional<int64_t> limit = OnlyNumber(group / "memory.max")) {
    // What the group uses contains files that the system keeps in memory and gives up when asked.
    const int64_t used = OnlyNumber(group / "memory.current").value_or(0);
    const int64_t given_up = NumberAfter(group / "memory.stat", "inactive_file").value_or(0);
    available = std::min(available, *limit - used + given_up);
  }
  return std::max<int64_t>(0, available);
}

int64_t InstalledGpus(const fs::path& proc) {
  std::error_code none;
  const fs::directory_iterator gpus(proc / "driver/nvidia/gpus", none);
  return std::distance(begin(gpus), end(gpus));
}

}  // namespace crescendo::device
