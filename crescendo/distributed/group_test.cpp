#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <dirent.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <sstream>

#include "crescendo/base/error.h"
#include "crescendo/distributed/test_support.h"
#include "tests/support/test_device.h"

namespace crescendo::distributed {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class GroupOf : public ::testing::TestWithParam<int64_t> {};
INSTANTIATE_TEST_SUITE_P(Ranks, GroupOf, ::testing::Values(1, 2, 3, 4));

TEST_P(GroupOf, SumsInEveryTypeThatIsUsed) {
  const int64_t ranks = GetParam();
  const int64_t sum = 3 * ranks * (ranks + 1) / 2;
  RunRanks(ranks, [&](Group& group) {
    for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kLong}) {
      const at::Tensor values = at::full({3}, 1 + group.rank(), at::TensorOptions(type));
      group.Sum(values);
      EXPECT_EQ(values.sum().item<double>(), static_cast<double>(sum));
    }
  });
}

TEST_P(GroupOf, KeepsWhereTheNumbersStand) {
  RunRanks(GetParam(), [&](Group& group) {
    const at::Tensor counted = at::arange(2 * 3 * 4 * 4).to(at::kFloat).view({2, 3, 4, 4});
    const at::Tensor values = counted.to(at::MemoryFormat::ChannelsLast);
    group.Sum(values);
    EXPECT_TRUE(values.equal(counted.mul(group.size())));
  });
}

TEST_P(GroupOf, SeveralSumsMayBeUnderWay) {
  RunRanks(GetParam(), [&](Group& group) {
    std::vector<at::Tensor> values;
    std::vector<std::unique_ptr<Group::Pending>> sums;
    for (int64_t i = 0; i < 8; ++i) {
      values.push_back(at::full({1 + 10'000 * i}, i, at::TensorOptions(at::kDouble)));
      sums.push_back(group.BeginSum(values.back()));
    }
    for (size_t i = 8; i-- > 0;) {
      sums[i]->Wait();
      EXPECT_TRUE(values[i].eq(static_cast<double>(i) * static_cast<double>(group.size())).all().item<bool>()) << i;
    }
  });
}

TEST_P(GroupOf, ExtremesAndBroadcasts) {
  RunRanks(GetParam(), [&](Group& group) {
    const int64_t rank = group.rank();
    const int64_t last = group.size() - 1;
    EXPECT_EQ(group.Min(100 - rank), 100 - last);
    const at::Tensor values = at::arange(2).to(at::kDouble).mul(rank);
    group.Max(values);
    EXPECT_EQ(values[1].item<double>(), static_cast<double>(last));
    const at::Tensor weights = at::full({2, 2}, static_cast<double>(rank));
    group.Broadcast(weights);
    EXPECT_EQ(weights.sum().item<double>(), 0);
    EXPECT_EQ(group.BroadcastText(rank == 0 ? "of worker 0" : "of another, and longer"), "of worker 0");
    EXPECT_EQ(group.BroadcastText(rank == 0 ? "" : "not empty"), "");
    group.Barrier();
  });
}

// Sums of numbers that do not add up exactly are the same bits on all workers, so that their weights stay the same.
TEST(Group, SumsAreTheSameBitsEverywhere) {
  std::mutex mutex;
  std::vector<at::Tensor> results;
  RunRanks(3, [&](Group& group) {
    const at::Tensor values =
        at::arange(100'000).to(at::kFloat).mul(0.1 + 0.37 * static_cast<double>(group.rank())).sin();
    group.Sum(values);
    const std::lock_guard lock(mutex);
    results.push_back(values);
  });
  EXPECT_TRUE(results[0].equal(results[1]));
  EXPECT_TRUE(results[0].equal(results[2]));
}

TEST(Group, WaitingForOthersIsCounted) {
  RunRanks(2, [](Group& group) {
    group.Barrier();
    const double before = group.waited_seconds();
    if (group.rank() == 1) std::this_thread::sleep_for(std::chrono::milliseconds(300));
    group.Barrier();
    if (group.rank() == 0) {
      EXPECT_GT(group.waited_seconds() - before, 0.1);
    }
  });
}

TEST(Group, MissingWorkersAreNamed) {
  Descriptor listener = ListenOn("127.0.0.1", 0);
  const int64_t port = PortOf(listener);
  const int inherited = listener.Release();
  const std::chrono::milliseconds timeout(1500);
  const auto join = [&](int64_t rank) {
    return JoinGroup(PlaceOnLoopback(rank, 4, port, inherited), at::Device(at::kCPU), timeout, timeout);
  };
  std::thread second([&] {
    EXPECT_THAT([&] { join(2); }, ThrowsMessage<RunError>(HasSubstr("of 4 workers, workers 1, 3 did not come within")));
  });
  EXPECT_THAT([&] { join(0); },
              ThrowsMessage<RunError>(HasSubstr("of 4 workers, workers 1, 3 did not come within 1.5 s")));
  second.join();
}

TEST(Group, MissingWorker0IsNamed) {
  int64_t port = 0;
  { port = PortOf(ListenOn("127.0.0.1", 0)); }
  EXPECT_THAT(
      [&] {
        JoinGroup(PlaceOnLoopback(1, 2, port, -1), at::Device(at::kCPU), kPatience, std::chrono::milliseconds(1000));
      },
      ThrowsMessage<RunError>(AllOf(HasSubstr("worker 1 cannot reach worker 0 at 127.0.0.1 port"), HasSubstr("1 s"))));
}

TEST(Group, PortInUseIsNamed) {
  const Descriptor taken = ListenOn("127.0.0.1", 0);
  EXPECT_THAT([&] { JoinGroup(PlaceOnLoopback(0, 2, PortOf(taken), -1), at::Device(at::kCPU), kPatience, kPatience); },
              ThrowsMessage<RunError>(HasSubstr("MASTER_PORT chooses another")));
}

TEST(Group, AddressOfAnotherMachineIsRefusedToWorker0) {
  WorkerPlace place = PlaceOnLoopback(0, 2, 20'000, -1);
  place.master_address = "192.0.2.77";  // kept for documentation (RFC 5737): no machine has it
  EXPECT_THAT([&] { JoinGroup(place, at::Device(at::kCPU), kPatience, kPatience); },
              ThrowsMessage<UserError>(HasSubstr("is not an address of this machine")));
  place.master_address = "no-such-host.invalid";
  EXPECT_THAT([&] { JoinGroup(place, at::Device(at::kCPU), kPatience, kPatience); },
              ThrowsMessage<UserError>(HasSubstr("\"no-such-host.invalid\" of worker 0 cannot be found")));
}

// A worker that ends with an error ends the others with its words, long before any timeout.
TEST(Group, ErrorOfOneWorkerEndsTheOthersWithItsWords) {
  for (const int64_t guilty : {int64_t{0}, int64_t{2}}) {
    std::mutex mutex;
    std::vector<std::string> messages;
    EXPECT_THROW(RunRanks(3,
                          [&](Group& group) {
                            if (group.rank() == guilty) {
                              group.Barrier();  // all have come
                              group.Abandon("the disk is full");
                              throw RunError("the disk is full");
                            }
                            try {
                              group.Barrier();
                              group.Barrier();
                            } catch (const RunError& error) {
                              const std::lock_guard lock(mutex);
                              messages.emplace_back(error.what());
                            }
                          }),
                 RunError);
    ASSERT_EQ(messages.size(), 2);
    for (const std::string& message : messages) {
      EXPECT_THAT(message, HasSubstr("worker " + std::to_string(guilty) + " (process"));
      EXPECT_THAT(message, HasSubstr("failed: the disk is full"));
    }
  }
}

TEST(Group, WorkerThatDoesNotComeIsNamedAfterTheTimeout) {
  std::mutex mutex;
  std::vector<std::string> messages;
  std::condition_variable all_failed;
  RunRanks(
      3,
      [&](Group& group) {
        group.Barrier();
        std::unique_lock lock(mutex);
        if (group.rank() == 1) {  // lives, and its watch beats, but it does something else
          all_failed.wait(lock, [&] { return messages.size() == 2; });
          return;
        }
        lock.unlock();
        std::string message;
        try {
          group.Barrier();
        } catch (const RunError& error) {
          message = error.what();
        }
        lock.lock();
        messages.push_back(message);
        all_failed.notify_all();
      },
      std::chrono::milliseconds(2000));
  for (const std::string& message : messages) {
    EXPECT_THAT(message, AllOf(HasSubstr("worker 1 (process"), HasSubstr("lives, but the others have waited for it")));
  }
}

// Of four workers one works alone, then two, then all; the others wait until they are called.
TEST(Group, GrowsFromItsFirstWorkers) {
  const std::atomic<int> no_signal = 0;
  RunRanks(4, [&](AllWorkers& all) {
    all.Barrier();
    const int64_t rank = all.rank();
    std::unique_ptr<Group> group;
    for (const int64_t size : {1, 2, 4}) {
      if (rank >= size) continue;
      const bool comes = size > 1 && rank >= size / 2;
      if (comes) {
        EXPECT_EQ(all.WaitForCall(no_signal), size);
      }
      group = all.OfFirst(size);
      EXPECT_EQ(group->rank(), rank);
      EXPECT_EQ(group->size(), size);
      const at::Tensor values = at::full({5}, static_cast<double>(rank + 1));
      group->Broadcast(values);  // worker 0's
      group->Sum(values);
      EXPECT_EQ(values.sum().item<double>(), static_cast<double>(5 * size));
      EXPECT_EQ(group->Min(10 - rank), 10 - (size - 1));
      EXPECT_EQ(group->BroadcastText("from " + std::to_string(rank)), "from 0");
      group->Barrier();
    }
  });
}

TEST(Group, WaitingEndsWhereWorker0LeavesInGoodOrder) {
  RunRanks(3, [&](AllWorkers& all) {
    all.Barrier();
    const std::atomic<int> stop = all.rank() == 2 ? 15 : 0;
    if (all.rank() > 0) {
      EXPECT_EQ(all.WaitForCall(stop), std::nullopt);
      return;
    }
    const std::unique_ptr<Group> alone = all.OfFirst(1);
    while (all.signal_of_waiting() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_EQ(all.signal_of_waiting(), 15);
  });
}

// Who works alone has no meetings in which the loss could be noticed: it is told all the same.
TEST(Group, LossOfAWaitingWorkerIsNoticedByOneThatWorksAlone) {
  std::string message;
  std::atomic<bool> works = false;
  RunRanks(2, [&](AllWorkers& all) {
    if (all.rank() == 1) {
      while (!works) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      all.Abandon("no memory");
      return;
    }
    const std::unique_ptr<Group> alone = all.OfFirst(1);
    works = true;
    try {
      for (int i = 0; i < 60'000; ++i) {
        alone->Barrier();
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    } catch (const WorkerLost& error) {
      message = error.what();
    }
  });
  EXPECT_THAT(message, AllOf(HasSubstr("worker 1 (process"), HasSubstr("failed: no memory")));
}

// Worker 1 lives, but does not come where the group is formed anew: not the one who waits is to blame, who has been in
// no meeting for long, nor the one who has come.
TEST(Group, WorkerThatDoesNotComeToALargerGroupIsNamed) {
  std::mutex mutex;
  std::vector<std::string> messages;
  std::condition_variable all_failed;
  const std::atomic<int> no_signal = 0;
  RunRanks(
      4,
      [&](AllWorkers& all) {
        all.Barrier();
        std::string message;
        try {
          if (all.rank() < 2) {
            const std::unique_ptr<Group> two = all.OfFirst(2);
            for (int i = 0; i < 3; ++i) two->Barrier();
          } else {
            EXPECT_EQ(all.WaitForCall(no_signal), all.rank() == 2 ? std::optional<int64_t>(3) : std::nullopt);
          }
          std::unique_lock lock(mutex);
          if (all.rank() == 1) {
            all_failed.wait(lock, [&] { return messages.size() == 3; });
            return;
          }
          lock.unlock();
          all.OfFirst(3);
        } catch (const WorkerLost& error) {
          message = error.what();
        }
        const std::lock_guard lock(mutex);
        messages.push_back(message);
        all_failed.notify_all();
      },
      std::chrono::milliseconds(2000));
  ASSERT_EQ(messages.size(), 3);
  for (const std::string& message : messages) {
    EXPECT_THAT(message, AllOf(HasSubstr("worker 1 (process"), HasSubstr("lives, but the others have waited for it")));
  }
}

// Gloo, and on a GPU (CRESCENDO_TEST_DEVICE=cuda) NCCL, with one rank.
TEST(Group, OneWorkerOverC10dKeepsWhatItHas) {
  const at::Device device = support::TestDevice();
  Descriptor listener = ListenOn("127.0.0.1", 0);
  const int64_t port = PortOf(listener);
  const std::unique_ptr<AllWorkers> group =
      JoinGroupOverC10d(PlaceOnLoopback(0, 1, port, listener.Release()), device, kPatience, kPatience);
  EXPECT_EQ(group->size(), 1);
  const at::Tensor values = at::arange(6).to(device, at::kFloat).view({2, 3});
  const at::Tensor before = values.clone();
  const std::unique_ptr<Group::Pending> sum = group->BeginSum(values);
  sum->Wait();
  group->Max(values);
  group->Broadcast(values);
  EXPECT_TRUE(values.equal(before));
  EXPECT_EQ(group->Min(7), 7);
  EXPECT_EQ(group->BroadcastText("words"), "words");
  group->Barrier();
}

// Sockets on which this process listens: "socket:[inode]", and the address as /proc/net writes it.
std::map<std::string, std::string> ListeningSockets() {
  std::set<std::string> own;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    own.insert(std::filesystem::read_symlink(entry.path(), gone).string());
  }
  std::map<std::string, std::string> sockets;
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream stream(table);
    std::string line;
    std::getline(stream, line);
    while (std::getline(stream, line)) {
      std::istringstream words(line);
      std::array<std::string, 10> word;
      for (std::string& text : word) words >> text;
      const bool listens = word[3] == "0A";
      const std::string socket = "socket:[" + word[9] + "]";
      if (listens && own.contains(socket)) sockets[socket] = word[1].substr(0, word[1].find(':'));
    }
  }
  return sockets;
}

TEST(Group, ListensNowhereButOnTheAddressItWasGiven) {
  const std::map<std::string, std::string> before = ListeningSockets();  // NCCL's, of a test before this one, stay
  RunRanks(2, [&](Group& group) {
    group.Barrier();
    if (group.rank() == 0) {
      std::set<std::string> addresses;
      for (const auto& [socket, address] : ListeningSockets()) {
        if (!before.contains(socket)) addresses.insert(address);
      }
      EXPECT_EQ(addresses, (std::set<std::string>{"0100007F"}));  // 127.0.0.1
    }
    group.Barrier();
  });
}

}  // namespace
}  // namespace crescendo::distributed
