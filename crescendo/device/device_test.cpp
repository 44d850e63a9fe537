#include "crescendo/device/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <c10/util/Exception.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "crescendo/base/error.h"
#include "crescendo/device/autocast.h"
#include "crescendo/device/cpu_allocator.h"
#include "crescendo/device/machine.h"
#include "tests/support/temporary_folder.h"

namespace crescendo::device {
namespace {

namespace fs = std::filesystem;
using config::DeviceName;
using config::Precision;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

const c10::Device kCpu = c10::kCPU;

TEST(Device, CpuIsTheCpuAndAutoIsWhatIsThere) {
  EXPECT_EQ(ChooseDevice(DeviceName::kCpu), kCpu);
  const c10::Device chosen = ChooseDevice(DeviceName::kAuto);
  EXPECT_EQ(at::ones({2}, at::TensorOptions(chosen)).sum().item<float>(), 2) << "tensors can be made there";
}

TEST(Device, CudaWithoutAGpuIsTheUsersErrorAndSaysWhatWasFound) {
  if (!ChooseDevice(DeviceName::kAuto).is_cpu()) GTEST_SKIP() << "there is a GPU";
  try {
    ChooseDevice(DeviceName::kCuda);
    FAIL();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), StartsWith("run.device = cuda cannot be used: "));
    EXPECT_THAT(error.what(), HasSubstr("run.device = auto or cpu trains on the CPU"));
#ifdef CRESCENDO_CUDA
    EXPECT_THAT(error.what(), HasSubstr("no GPU found"));
#else
    EXPECT_THAT(error.what(), HasSubstr("built without GPU support"));
    EXPECT_THAT(error.what(), HasSubstr(InstalledGpus() > 0 ? "there is a GPU" : "no GPU found"));
    EXPECT_THAT(error.what(), HasSubstr("cmake --preset cuda"));
#endif
  }
}

TEST(Device, ThreadsAreThoseAskedForOrThoseAllowed) {
  SetThreads(3);
  EXPECT_EQ(Threads(), 3);
  EXPECT_THAT(DescribeDevice(kCpu), HasSubstr(", 3 threads"));
  cpu_set_t all;
  ASSERT_EQ(sched_getaffinity(0, sizeof all, &all), 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++i) {
    if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  SetThreads(std::nullopt);
  EXPECT_EQ(Threads(), 1);
  EXPECT_THAT(DescribeDevice(kCpu), HasSubstr(", 1 thread"));
  EXPECT_THAT(DescribeMachine(), HasSubstr(", 1 core, "));
  ASSERT_EQ(sched_setaffinity(0, sizeof all, &all), 0);
  SetThreads(1);
}

TEST(Device, DescriptionsAreOneLine) {
  EXPECT_THAT(DescribeDevice(kCpu), MatchesRegex("cpu \\([^\n]+, [0-9]+ threads?[^\n]*\\)"));
  EXPECT_THAT(DescribeMachine(), MatchesRegex("[^\n]+, [0-9]+ cores?, [0-9.]+ GiB"));
}

class MachineTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& text) const { temporary_.Write(name, text); }

  const support::TemporaryFolder temporary_;
  const fs::path root_ = temporary_.path();
};

TEST_F(MachineTest, ControlGroupLimitsCoresAndMemory) {
  const int64_t cores = UsableCores(root_);  // nothing there: affinity alone
  const int64_t memory = UsableMemoryBytes(root_);
  EXPECT_GE(cores, 1);
  EXPECT_GT(memory, int64_t{1} << 28);
  const std::pair<const char*, int64_t> quotas[] = {
      {"max 100000\n", cores}, {"100000 100000\n", 1}, {"50000 100000\n", 1}, {"9900000 100000\n", cores}, {"", cores}};
  for (const auto& [quota, expected] : quotas) {
    Write("fs/cgroup/cpu.max", quota);
    EXPECT_EQ(UsableCores(root_), expected) << quota;
  }
  const std::pair<const char*, int64_t> limits[] = {
      {"max\n", memory}, {"100000000\n", 100'000'000}, {"9000000000000000000\n", memory}};
  for (const auto& [limit, expected] : limits) {
    Write("fs/cgroup/memory.max", limit);
    EXPECT_EQ(UsableMemoryBytes(root_), expected) << limit;
  }
}

TEST_F(MachineTest, AvailableMemoryIsTheSystemsOrWhatTheControlGroupHasLeft) {
  Write("meminfo", "MemTotal:   4000 kB\nMemFree:   100 kB\nMemAvailable:   3000 kB\n");
  EXPECT_EQ(AvailableMemoryBytes(root_, root_), 3000 * 1024);
  Write("fs/cgroup/memory.max", "max\n");
  EXPECT_EQ(AvailableMemoryBytes(root_, root_), 3000 * 1024);
  Write("fs/cgroup/memory.max", "1000000\n");
  EXPECT_EQ(AvailableMemoryBytes(root_, root_), 1'000'000);
  Write("fs/cgroup/memory.current", "900000\n");
  Write("fs/cgroup/memory.stat", "anon 500000\ninactive_file 300000\nactive_file 100000\n");
  EXPECT_EQ(AvailableMemoryBytes(root_, root_), 400'000);
  Write("fs/cgroup/memory.current", "1900000\n");
  EXPECT_EQ(AvailableMemoryBytes(root_, root_), 0);
}

TEST_F(MachineTest, GpusAreThoseOfTheDriver) {
  EXPECT_EQ(InstalledGpus(root_), 0);
  Write("driver/nvidia/gpus/0000:01:00.0/information", "Model: H200\n");
  Write("driver/nvidia/gpus/0000:02:00.0/information", "Model: H200\n");
  EXPECT_EQ(InstalledGpus(root_), 2);
}

TEST(Device, Fp32IsNotRoundedToTf32) {
  KeepFp32Exact();
  EXPECT_FALSE(at::globalContext().allowTF32CuDNN());
  EXPECT_FALSE(at::globalContext().allowTF32CuBLAS());
}

TEST_F(MachineTest, HardwareThreadsOfACoreCountOnce) {
  // As if all processors were threads of one core.
  for (int64_t i = 0; i < ::sysconf(_SC_NPROCESSORS_CONF); ++i) {
    Write("devices/system/cpu/cpu" + std::to_string(i) + "/topology/thread_siblings_list", "0-1023\n");
  }
  EXPECT_EQ(UsableCores(root_), 1);
}

TEST_F(MachineTest, ProcessorNameIsTheSystems) {
  EXPECT_EQ(ProcessorName(root_), "CPU");
  Write("cpuinfo", "processor\t: 0\nmodel name\t: Some CPU: fast\nmodel name\t: Some CPU: fast\n");
  EXPECT_EQ(ProcessorName(root_), "Some CPU: fast");
}

TEST(AutocastTest, ProductsAreBfloat16InsideTheGuardOnly) {
  const at::Tensor a = at::full({2, 2}, 1.F / 3);
  const auto type_of_product = [&] { return at::mm(a, a).scalar_type(); };
  EXPECT_EQ(type_of_product(), at::kFloat);
  {
    const Autocast autocast(kCpu, Precision::kBf16);
    EXPECT_EQ(type_of_product(), at::kBFloat16);
    {
      const Autocast inner(kCpu, Precision::kFp32);
      EXPECT_EQ(type_of_product(), at::kFloat);
    }
    EXPECT_EQ(type_of_product(), at::kBFloat16);
    std::jthread([&] { EXPECT_EQ(type_of_product(), at::kFloat) << "another thread"; });
  }
  EXPECT_EQ(type_of_product(), at::kFloat);
  {
    const Autocast autocast(kCpu, Precision::kFp32);
    EXPECT_EQ(type_of_product(), at::kFloat);
  }
}

// The bfloat16 copy of a weight is kept while the guard lives. If it outlived the guard, the next step would use the
// old weights.
TEST(AutocastTest, ChangedWeightsAreSeenByTheNextGuard) {
  at::Tensor weight = at::full({2, 2}, 1.F).requires_grad_();
  const at::Tensor input = at::ones({2, 2});
  for (const float value : {1.F, 2.F}) {
    weight.detach().fill_(value);
    const Autocast autocast(kCpu, Precision::kBf16);
    EXPECT_EQ(at::mm(input, weight)[0][0].item<float>(), 2 * value);
  }
  const at::Tensor product = [&] {
    const Autocast autocast(kCpu, Precision::kBf16);
    return at::mm(input, weight);
  }();
  product.sum().backward();
  EXPECT_EQ(weight.grad().scalar_type(), at::kFloat);
  EXPECT_TRUE(weight.grad().equal(at::full({2, 2}, 2.F)));
}

TEST(CpuAllocator, TensorsAreMadeInKeptMemory) {
  const at::Tensor before = at::full({1000}, 3.F);
  InstallCachingCpuAllocator();
  InstallCachingCpuAllocator();
  const size_t in_use = CpuMemoryStatistics().in_use;
  void* address = nullptr;
  {
    const at::Tensor tensor = at::empty({1'000'000});
    EXPECT_GE(CpuMemoryStatistics().in_use, in_use + 4'000'000);
    address = tensor.mutable_data_ptr();
  }
  EXPECT_EQ(CpuMemoryStatistics().in_use, in_use);
  EXPECT_EQ(at::empty({1'000'000}).mutable_data_ptr(), address);
  EXPECT_EQ(before.sum().item<float>(), 3000) << "a tensor from before";
  EXPECT_EQ(at::empty({0}).numel(), 0);

  at::Tensor resized = at::full({2}, 5.F);
  resized.resize_({3'000'000});  // copies what it has
  EXPECT_EQ(resized[1].item<float>(), 5);

  ReleaseKeptCpuMemory();
  EXPECT_EQ(CpuMemoryStatistics().kept, 0);
}

TEST(CpuAllocator, TensorFreedByAnotherThreadComesBack) {
  InstallCachingCpuAllocator();
  const size_t in_use = CpuMemoryStatistics().in_use;
  at::Tensor tensor = at::full({1'000'000}, 1.F);
  std::thread([moved = std::move(tensor)]() mutable { moved.reset(); }).join();
  EXPECT_EQ(CpuMemoryStatistics().in_use, in_use);
}

TEST(CpuAllocator, TensorThatDoesNotFitIsToldFromOtherMistakes) {
  InstallCachingCpuAllocator();
  EXPECT_THROW(at::empty({int64_t{1} << 58}), c10::OutOfMemoryError);
}

}  // namespace
}  // namespace crescendo::device
