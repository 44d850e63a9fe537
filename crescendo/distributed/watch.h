// The workers' watch over each other: says which worker was lost, and says the same to all that are left.
//
// A collective operation that fails knows that a connection broke, or that time is up, but not who is the cause: when
// worker 2 dies, its neighbours stop, and their neighbours see them stop. So every worker also has a connection to
// worker 0, over which nothing goes but short lines of text (at the end of watch.cpp), about ten in the time of a
// timeout. Worker 0 is the judge of the others; of worker 0, each for itself.
//
//   what happens to a worker                  | what the others hear
//   ------------------------------------------|------------------------------------------------------------
//   its process ends (SIGKILL, a crash)       | its connection closes: at once
//   it ends with an error of its own          | that error, in its words: at once
//   it is stopped or cut off                  | nothing any more: after `timeout`
//   it lives but does not come to a meeting   | one of those who wait for it says so: after `timeout`
//
// A thread of its own does this, so a worker that computes for long is heard all the same.
//
// Not all that are watched need to meet: those that meet are the first so many (Form), and the others wait here until
// they are called (WaitForCall), for as long as it takes.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "crescendo/distributed/socket.h"

namespace crescendo::distributed {

class Watch {
 public:
  // `socket`: of worker 0, one that listens; of the others, one that is connected to it. Returns when all workers have
  // come. RunError, naming those that are missing, when they have not within `join_timeout`.
  Watch(int64_t rank, int64_t size, Descriptor socket, std::chrono::milliseconds timeout,
        std::chrono::milliseconds join_timeout);
  ~Watch();  // leaves in good order
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  bool all_well() const { return all_well_; }  // cheap, for loops that wait
  std::string verdict() const;  // who was lost and how, a sentence without its full stop; "" while all is well

  // From now on the first `size` workers meet. All of them say so, in their turn; worker 0 thereby calls those that
  // wait. REQUIRES a larger number each time.
  void Form(int64_t size);

  // Of a worker that does not meet the others: returns how many are to meet once it is one of them; nothing where
  // worker 0 leaves before that, in good order or because somebody was lost (verdict). Tells worker 0 of the signal in
  // `stop`.
  std::optional<int64_t> WaitForCall(const std::atomic<int>& stop);

  // The signal that a waiting worker has told of; 0: none. On worker 0.
  int stop_signal() const { return stop_signal_; }

  // To be called before each meeting (a collective operation).
  void Enter() { ++meetings_; }

  // This worker has waited in a meeting for `timeout`: has worker 0 judge who is missing.
  void ReportLate();

  // The verdict, where one comes within this time; "" where none does.
  std::string WaitForVerdict(std::chrono::milliseconds time);

  // This worker ends with an error.
  void Abandon(const std::string& reason);

 private:
  using Clock = std::chrono::steady_clock;

  // Another worker, as seen from here: on worker 0 all others, elsewhere worker 0.
  struct Peer {
    LineConnection connection;
    std::string name;  // "worker 2 (process 4711 on node3)"
    Clock::time_point heard;
    int64_t meetings = 0;
    bool closed = false;
    bool left = false;  // in good order
  };

  void Work();
  std::vector<int> WaitForInput();  // descriptors that have something to read
  void Accept();
  void ReadNewcomer(size_t index);
  void Read(int64_t rank, Peer& peer);
  void Obey(int64_t rank, Peer& peer, const std::string& line);
  void BeatIfDue();
  void Check();
  std::string Silent(const Peer& peer) const;
  void JudgeLate();
  void Decide(const std::string& sentence);
  std::string NameOfThis() const;
  std::string Missing() const;

  const int64_t rank_;
  const int64_t size_;
  const std::chrono::milliseconds timeout_;
  const std::chrono::milliseconds join_timeout_;
  const Clock::time_point created_ = Clock::now();
  std::atomic<int64_t> meetings_ = 0;  // those of a later group count from a higher number on
  std::atomic<int> stop_signal_ = 0;
  std::atomic<bool> all_well_ = true;

  mutable std::mutex mutex_;  // over all below
  std::condition_variable changed_;
  Descriptor listener_;                    // worker 0's, until all have come
  std::vector<LineConnection> newcomers_;  // have not said who they are
  std::map<int64_t, Peer> peers_;
  int64_t meeting_;        // how many of the workers meet
  int64_t called_ = 0;     // how many are to meet, as worker 0 has said; 0 before
  bool complete_ = false;  // all have come
  bool stopping_ = false;
  std::string verdict_;
  Clock::time_point last_beat_;

  Descriptor wake_;  // an eventfd that ends the thread's waiting
  std::thread thread_;
};

}  // namespace crescendo::distributed
