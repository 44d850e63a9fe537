// What is added up in every update: gradients, running statistics, losses, and a few numbers; over the micro-batches of
// a worker's share and over the workers.
//
//   std::unique_ptr<UpdateSum> sum = MakeUpdateSum(*parts.group, *parts.model, options);
//   sum->Begin(share);
//   for each micro-batch of this worker's share:
//     sum->BeforeForward(it is the last);
//     ... forward, backward ...
//     sum->AfterBackward(loss);
//   const Totals totals = sum->Finish(numbers, LossSum::kRead);    // all workers get the same
//
// There are two: in buckets, as fast as it goes (bucketed_sum.h), and with run.reproducible, with bits that do not
// depend on how the update was shared out (reproducible_sum.h).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "crescendo/config/options.h"
#include "crescendo/distributed/group.h"
#include "crescendo/nn/model.h"
#include "crescendo/schedule/split.h"

namespace crescendo::train {

// Of one worker, at an update. All but the first two are totals since the worker began, as of the start of the update.
struct WorkerNumbers {
  double loss_sum = 0;             // of its examples in this update
  double stop_signal = 0;          // the signal that asks it to stop; 0: none
  double examples = 0;             // that it has computed
  double seconds = 0;              // spent on updates, whatever for
  double loader_wait_seconds = 0;  // of them, waiting for examples
  double group_wait_seconds = 0;   // of them, waiting for other workers
};

struct Totals {
  double loss_sum = 0;         // over the global batch
  at::Tensor unread_loss_sum;  // instead of it, where it was to be left on the device
  int stop_signal = 0;         // of any worker; 0: none. Where there is one, the update was not computed
  std::vector<WorkerNumbers> workers;
};

// Whether to wait for the device to know the loss. kLeave: for one worker alone.
enum class LossSum { kRead, kLeave };

class UpdateSum {
 public:
  virtual ~UpdateSum() = default;

  // Forgets what was not finished. The running statistics are those before the update, the same on all workers.
  virtual void Begin(const schedule::RankShare& share) = 0;

  virtual void BeforeForward(bool last_of_share) = 0;
  // `loss`: the sum over the micro-batch's examples, on the device.
  virtual void AfterBackward(const at::Tensor& loss) = 0;

  // Gradients and running statistics are then those of the whole update, on every worker; but not where a worker was
  // asked to stop.
  virtual Totals Finish(const WorkerNumbers& numbers, LossSum loss_sum) = 0;
};

// `group` and `model` must outlive it.
std::unique_ptr<UpdateSum> MakeUpdateSum(distributed::Group& group, nn::Model& model, const config::Options& options);

// The elements of `tensors` one after the other into `flat`, whose size is the sum of theirs; and back.
void Pack(const std::vector<at::Tensor>& tensors, const at::Tensor& flat);
void Unpack(const at::Tensor& flat, const std::vector<at::Tensor>& tensors);

// The exchange of the numbers alone: what every worker says is sent to all.
class NumbersSum {
 public:
  NumbersSum(distributed::Group& group, const WorkerNumbers& numbers);
  Totals Wait();

 private:
  at::Tensor table_;  // [workers, numbers]
  std::unique_ptr<distributed::Group::Pending> pending_;
};

}  // namespace crescendo::train
