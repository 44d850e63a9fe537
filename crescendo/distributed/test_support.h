// Ranks as threads of the test, each with a group of its own over loopback: the same c10d, Gloo and watch as between
// processes.
#pragma once

#include <ATen/Parallel.h>

#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "crescendo/distributed/c10d_group.h"
#include "crescendo/distributed/socket.h"

namespace crescendo::distributed {

// Long enough for a loaded machine; tests that wait for it to pass say a shorter one.
inline constexpr std::chrono::milliseconds kPatience{60'000};

inline WorkerPlace PlaceOnLoopback(int64_t rank, int64_t size, int64_t port, int listener) {
  WorkerPlace place;
  place.rank = rank;
  place.local_rank = rank;  // a GPU each, where the test is on GPUs
  place.size = size;
  place.master_address = "127.0.0.1";
  place.master_port = port;
  place.inherited_listener = rank == 0 ? listener : -1;
  return place;
}

// Runs `work` for the place of each worker, on a thread of its own; rethrows the first exception of the lowest rank
// that has one.
inline void RunPlaces(int64_t ranks, const std::function<void(const WorkerPlace&)>& work) {
  // c10d's record of what was sent is one per process and not safe for groups on several threads.
  setenv("TORCH_FR_BUFFER_SIZE", "0", /*overwrite=*/1);
  Descriptor listener = ListenOn("127.0.0.1", 0);
  const int64_t port = PortOf(listener);
  const int inherited = listener.Release();
  std::vector<std::exception_ptr> failures(static_cast<size_t>(ranks));
  std::vector<std::thread> threads;
  for (int64_t rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      at::set_num_threads(1);
      try {
        work(PlaceOnLoopback(rank, ranks, port, inherited));
      } catch (...) {
        failures[static_cast<size_t>(rank)] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (ranks == 1) Descriptor closed(inherited);  // nobody took it
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

// The same with the group of each.
inline void RunRanks(int64_t ranks, const std::function<void(AllWorkers&)>& work,
                     std::chrono::milliseconds timeout = kPatience) {
  RunPlaces(ranks,
            [&](const WorkerPlace& place) { work(*JoinGroup(place, at::Device(at::kCPU), timeout, kPatience)); });
}

}  // namespace crescendo::distributed
