// The workers that train one network together, as one of them sees them.
//
//   std::unique_ptr<Group> group = JoinGroup(FindPlace(SystemEnvironment), device, timeout);   // join_group.h
//   std::unique_ptr<Group::Pending> sum = group->BeginSum(gradients);
//   ... compute something else ...
//   sum->Wait();                                       // gradients now hold the sum over all workers, in the same bits
//
// A single process is a group of one (local_group.h), where all of this costs nothing. Every function is a meeting: all
// workers call the same ones in the same order, with tensors of the same shape and type, dense in memory. One thread at
// a time may call (the backward pass counts as that thread).
//
// A worker that dies, hangs, or is cut off ends the meeting for all others: every function here then throws WorkerLost,
// which names it, at once where the connection to it breaks, else after the group's timeout. The group is of no use
// after that: let it go.
#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "crescendo/base/error.h"

namespace crescendo::distributed {

// Another worker was lost: it died, hangs, is cut off or has failed. The message names it.
class WorkerLost : public RunError {
 public:
  using RunError::RunError;
};

class Group {
 public:
  // A sum that is under way. Its tensor must not be touched until Wait has returned.
  class Pending {
   public:
    virtual ~Pending() = default;
    virtual void Wait() = 0;
  };

  virtual ~Group() = default;

  virtual int64_t rank() const = 0;  // 0 .. size() - 1; worker 0 writes the files
  virtual int64_t size() const = 0;

  // Begins to replace `values` by their sum over all workers.
  virtual std::unique_ptr<Pending> BeginSum(const at::Tensor& values) = 0;

  void Sum(const at::Tensor& values) { BeginSum(values)->Wait(); }
  virtual void Max(const at::Tensor& values) = 0;        // each element by its largest over all workers
  virtual void Broadcast(const at::Tensor& values) = 0;  // by those of worker 0

  // WorkerLost where one is known to be lost; at no cost, for loops that work for long between two meetings.
  virtual void RequireAllWell() = 0;

  // Tells the others that this worker ends because of `reason`, so that they end with the same words and not with a
  // timeout.
  virtual void Abandon(const std::string& reason) = 0;

  // How long this worker has waited for others, in total.
  virtual double waited_seconds() const = 0;

  int64_t Min(int64_t number);                         // the smallest over all workers
  std::string BroadcastText(const std::string& text);  // worker 0's
  void Barrier();                                      // returns once all workers have called it
};

// The group of all workers of a run. Not all need to work from the start: the first few form a group of their own,
// later a larger one, while the others wait to be called; all are watched all the time.
//
//   std::unique_ptr<Group> some = all.OfFirst(2);     // workers 0 and 1
//   some = all.OfFirst(4);                            // the same and 2 and 3, who were in all.WaitForCall(stop)
class AllWorkers : public Group {
 public:
  // The group of the first `size`, formed anew. All of these call it; those that wait are called by it. REQUIRES rank()
  // < size, and a larger one each time.
  virtual std::unique_ptr<Group> OfFirst(int64_t size) = 0;

  // On a worker that is in no group of the first: waits, without end and at no cost, and returns the size of the group
  // that it is called to (OfFirst is next). Nothing where the run ends before that. `stop`: once it is a signal's
  // number, worker 0 is told of it, and waiting goes on.
  virtual std::optional<int64_t> WaitForCall(const std::atomic<int>& stop) = 0;

  // On worker 0: the signal that a waiting worker has told of; 0 where there was none.
  virtual int signal_of_waiting() const = 0;
};

}  // namespace crescendo::distributed
