// Makes batches of training examples: of images beside the training, of a table's rows, which are ready to use, and of
// what lies on the device as they are taken.
//
//   Loader loader(data.train, options.data, seed);
//   loader.Request({Examples{0}, 128});    // the first 128 examples of the run, in the order of this seed
//   loader.Request({Examples{128}, 640});  // the batch may change with each request
//   Batch batch = loader.Take();           // waits for the first request's
//
// The caller says which examples, so a change of the batch lands where the plan has it, however far the loader works
// ahead. What is in a batch is a function of (seed, position): order and look of the examples depend on nothing else
// (example_order.h, augment.h).
#pragma once

#include <ATen/core/Tensor.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include "crescendo/config/options.h"
#include "crescendo/data/augment.h"
#include "crescendo/data/batch.h"
#include "crescendo/data/dataset.h"
#include "crescendo/data/example_order.h"
#include "crescendo/data/resident.h"
#include "crescendo/schedule/units.h"

namespace crescendo::data {

// Where batches are wanted.
struct Placing {
  at::Device device = at::kCPU;
  // A train set of at most so many bytes is kept on the device, and batches are made there (resident.h). Otherwise the
  // loader's threads make them, for a GPU in page-locked memory, from which copies run beside the computation.
  int64_t memory_for_data = 0;
};

class Loader {
 public:
  // `train` must outlive the loader. Uses pad, padding, flip, threads and prefetch of `options`. UserError for a pad
  // that is not smaller than the image. Destroying it drops what was requested and not taken.
  Loader(const Dataset& train, const config::DataOptions& options, uint64_t seed, const Placing& placing = {});

  // Never waits. At most `prefetch` batches are made ahead; further requests queue up.
  void Request(ExampleRange range);

  // The batch of the oldest request that was not taken; waits until it is made. There must be one. What went wrong
  // while it was made is thrown here, once; the next Take is the next request's. One thread may request and take.
  // A batch is on the device where the train set is kept there, else on the CPU.
  Batch Take();

  // How long Take has taken to wait for a batch or to make it, in total: what training lost for want of examples.
  double waited_seconds() const { return waited_seconds_; }

 private:
  struct Job {
    ExampleRange range;
    bool started = false;
    bool done = false;
    Batch batch;
    std::exception_ptr failure;
  };

  void Work(const std::stop_token& stop);
  Job* NextJob();  // requires mutex_
  Batch Make(ExampleRange range) const;

  const Dataset& train_;
  AugmentOptions augment_;
  uint64_t seed_;
  bool page_locked_;
  size_t prefetch_;
  ExampleOrder order_;
  std::optional<ResidentDataset> resident_;
  double waited_seconds_ = 0;

  std::mutex mutex_;
  std::condition_variable_any work_to_do_;
  std::condition_variable job_done_;
  std::deque<Job> jobs_;  // the oldest first; a deque, so that jobs stay where they are while others come and go
  std::vector<std::jthread> threads_;  // last, so that they are stopped and joined before what they use is gone
};

// Examples begin ... begin + n - 1 as they are stored, normalised and not augmented: for evaluation. `n` may reach
// beyond the last.
Batch TestBatch(const Dataset& dataset, int64_t begin, int64_t n);

}  // namespace crescendo::data
