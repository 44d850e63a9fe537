// A group of processes: the collective operations of PyTorch's c10d, Gloo for tensors on the CPU and NCCL for those on
// GPUs, and a watch over the workers (watch.h), which knows who is to blame when an operation fails.
//
// Worker 0 listens at place.master_address for the store, where the workers find each other, and for the watch; every
// worker listens for Gloo at its own address toward worker 0. None listens anywhere else. Nothing here asks who
// connects: the network between the workers must be a private one.
#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <memory>

#include "crescendo/distributed/group.h"
#include "crescendo/distributed/worker_place.h"

namespace crescendo::distributed {

// The group of all workers, this one at `place`: a LocalGroup where there is no other, else one over c10d. Returns when
// all have come. `device`: where the tensors to be summed will be. `timeout`: how long the others wait for a worker,
// in every later meeting, before they give it up. `join_timeout`: the same for their coming here, which takes as long
// as whatever starts them takes. RunError, naming who is missing.
std::unique_ptr<AllWorkers> JoinGroup(const WorkerPlace& place, at::Device device, std::chrono::milliseconds timeout,
                                      std::chrono::milliseconds join_timeout);

// The same over c10d also where there is no other: what is added up then goes through Gloo or NCCL all the same, so
// that these can be tried on a machine with one GPU.
std::unique_ptr<AllWorkers> JoinGroupOverC10d(const WorkerPlace& place, at::Device device,
                                              std::chrono::milliseconds timeout,
                                              std::chrono::milliseconds join_timeout);

}  // namespace crescendo::distributed
