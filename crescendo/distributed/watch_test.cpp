// One end of each watch is played by the test, line by line, so that it can die, fall silent or talk nonsense.
#include "crescendo/distributed/watch.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <future>

#include "crescendo/base/error.h"

namespace crescendo::distributed {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

constexpr milliseconds kLong{60'000};
constexpr milliseconds kShort{1'000};

// A played worker: says hello to worker 0 at `port`.
LineConnection Played(int64_t port, const std::string& hello) {
  LineConnection connection(ConnectTo("127.0.0.1", port, kLong));
  connection.Send(hello);
  return connection;
}

// The first line that begins with `word`, waited for.
std::string Expect(LineConnection& connection, const std::string& word) {
  bool closed = false;
  while (!closed) {
    pollfd waiting{connection.descriptor(), POLLIN, 0};
    ::poll(&waiting, 1, 60'000);
    for (const std::string& line : connection.Receive(closed)) {
      if (line.starts_with(word)) return line;
    }
  }
  return "closed";
}

// Worker 0 of three, the other two played.
struct Judge {
  explicit Judge(milliseconds timeout) {
    Descriptor listener = ListenOn("127.0.0.1", 0);
    const int64_t port = PortOf(listener);
    auto made = std::async(std::launch::async,
                           [&] { return std::make_unique<Watch>(0, 3, std::move(listener), timeout, kLong); });
    one.emplace(Played(port, "hello 1 process 11 on a"));
    two.emplace(Played(port, "hello 2 process 22 on b"));
    watch = made.get();
    EXPECT_THAT(Expect(*one, "welcome"), HasSubstr("welcome process "));
  }
  std::optional<LineConnection> one;
  std::optional<LineConnection> two;
  std::unique_ptr<Watch> watch;
};

TEST(Watch, DeadWorkerIsNamedToAllThatAreLeft) {
  Judge judge(kLong);
  EXPECT_TRUE(judge.watch->all_well());
  judge.two.reset();
  EXPECT_EQ(judge.watch->WaitForVerdict(kLong), "worker 2 (process 22 on b) is gone: its connection was closed");
  EXPECT_EQ(Expect(*judge.one, "lost"), "lost worker 2 (process 22 on b) is gone: its connection was closed");
  EXPECT_FALSE(judge.watch->all_well());
}

TEST(Watch, FirstVerdictStands) {
  Judge judge(kLong);
  judge.two.reset();
  judge.watch->WaitForVerdict(kLong);
  judge.one.reset();  // stops because of worker 2
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_THAT(judge.watch->verdict(), HasSubstr("worker 2"));
}

TEST(Watch, SilentWorkerIsNamedAfterTheTimeout) {
  Judge judge(kShort);
  std::atomic<bool> done = false;
  std::thread beats([&] {
    while (!done) {
      judge.one->Send("alive 5");
      std::this_thread::sleep_for(milliseconds(50));
    }
  });
  EXPECT_EQ(judge.watch->WaitForVerdict(kLong),
            "worker 2 (process 22 on b) has not been heard from for 1 s: it hangs, or the network to it is cut");
  done = true;
  beats.join();
}

TEST(Watch, WorkerThatFailsIsQuoted) {
  Judge judge(kLong);
  judge.one->Send("failed no space left");
  EXPECT_EQ(Expect(*judge.two, "lost"), "lost worker 1 (process 11 on a) failed: no space left");
}

TEST(Watch, WorkerThatLeavesInGoodOrderIsNotMissed) {
  Judge judge(kShort);
  judge.one->Send("bye");
  judge.one.reset();
  judge.two->Send("bye");
  EXPECT_EQ(judge.watch->WaitForVerdict(2 * kShort), "");
}

TEST(Watch, TheOneThatEnteredFewestMeetingsIsLate) {
  Judge judge(kLong);
  for (int i = 0; i < 3; ++i) judge.watch->Enter();
  judge.one->Send("alive 3");
  judge.two->Send("alive 2");
  judge.one->Send("late");
  EXPECT_EQ(judge.watch->WaitForVerdict(kLong),
            "worker 2 (process 22 on b) lives, but the others have waited for it for 60 s");
}

TEST(Watch, WhereAllCameNobodyIsBlamed) {
  Judge judge(kLong);
  judge.watch->Enter();
  judge.one->Send("alive 1");
  judge.two->Send("alive 1");
  judge.two->Send("late");
  EXPECT_THAT(judge.watch->WaitForVerdict(kLong), HasSubstr("although all of them are there"));
}

// Worker 2 waits. It has been in fewer meetings than the other, and is not the one that is missed.
TEST(Watch, WhoWaitsForItsTurnIsNotLate) {
  Judge judge(kLong);
  judge.watch->Form(2);
  EXPECT_EQ(Expect(*judge.two, "group"), "group 2");
  judge.watch->Enter();
  judge.one->Send(fmt::format("alive {}", int64_t{2} << 40));
  judge.two->Send("alive 0");
  judge.watch->ReportLate();
  EXPECT_THAT(judge.watch->WaitForVerdict(kLong), HasSubstr("worker 1 (process 11 on a) lives, but the others"));
}

TEST(Watch, StrangersAtThePortAreTurnedAway) {
  Descriptor listener = ListenOn("127.0.0.1", 0);
  const int64_t port = PortOf(listener);
  auto made =
      std::async(std::launch::async, [&] { return std::make_unique<Watch>(0, 2, std::move(listener), kLong, kLong); });
  for (const std::string& nonsense : {std::string("GET / HTTP/1.1"), std::string("hello 2 too many"),
                                      std::string("hello 0 process 1 on a"), std::string(100'000, 'x')}) {
    LineConnection stranger = Played(port, nonsense);
    EXPECT_EQ(Expect(stranger, "welcome"), "closed") << nonsense.substr(0, 20);
  }
  LineConnection worker = Played(port, "hello 1 process 11 on a");
  EXPECT_TRUE(made.get()->all_well());
}

TEST(Watch, TwoWorkersOfOneRankAreAnError) {
  Descriptor listener = ListenOn("127.0.0.1", 0);
  const int64_t port = PortOf(listener);
  auto made =
      std::async(std::launch::async, [&] { return std::make_unique<Watch>(0, 3, std::move(listener), kLong, kLong); });
  const LineConnection first = Played(port, "hello 1 process 11 on a");
  const LineConnection second = Played(port, "hello 1 process 12 on a");
  EXPECT_THAT([&] { made.get(); },
              ::testing::ThrowsMessage<RunError>(HasSubstr("two processes say that they are worker 1")));
}

// A worker whose worker 0 is played.
struct Worker {
  explicit Worker(milliseconds timeout) : listener(ListenOn("127.0.0.1", 0)) {
    auto made = std::async(std::launch::async, [&] {
      return std::make_unique<Watch>(1, 2, ConnectTo("127.0.0.1", PortOf(listener), kLong), timeout, kLong);
    });
    judge.emplace(Descriptor(::accept(listener.number(), nullptr, nullptr)));
    EXPECT_THAT(Expect(*judge, "hello"), HasSubstr("hello 1 process "));
    judge->Send("welcome process 10 on c");
    watch = made.get();
  }
  Descriptor listener;
  std::optional<LineConnection> judge;
  std::unique_ptr<Watch> watch;
};

TEST(Watch, DeathOfWorker0IsSeenByTheOthers) {
  Worker worker(kLong);
  worker.judge.reset();
  EXPECT_EQ(worker.watch->WaitForVerdict(kLong), "worker 0 (process 10 on c) is gone: its connection was closed");
}

TEST(Watch, SilenceOfWorker0IsSeenByTheOthers) {
  const Worker worker(kShort);
  EXPECT_EQ(worker.watch->WaitForVerdict(kLong),
            "worker 0 (process 10 on c) has not been heard from for 1 s: it hangs, or the network to it is cut");
}

TEST(Watch, VerdictOfWorker0IsRepeated) {
  Worker worker(kLong);
  worker.judge->Send("lost worker 7 (process 1 on z) is gone");
  worker.judge.reset();
  EXPECT_EQ(worker.watch->WaitForVerdict(kLong), "worker 7 (process 1 on z) is gone");
}

TEST(Watch, BeatsSayHowFarTheWorkerIs) {
  Worker worker(kShort);
  worker.watch->Enter();
  worker.watch->Enter();
  EXPECT_THAT(Expect(*worker.judge, "alive 2"), HasSubstr("alive 2"));
  worker.watch->ReportLate();
  EXPECT_EQ(Expect(*worker.judge, "late"), "late");
  worker.watch->Abandon("two\nlines");
  EXPECT_EQ(Expect(*worker.judge, "failed"), "failed two lines");
}

}  // namespace
}  // namespace crescendo::distributed
