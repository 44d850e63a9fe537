#include "crescendo/data/loader.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>

#include "crescendo/base/error.h"

namespace crescendo::data {
namespace {

using schedule::Examples;

AugmentOptions AugmentOptionsFor(const Dataset& train, const config::DataOptions& options) {
  if (!train.holds_images()) return {.pad = 0, .flip = false};
  const int64_t limit = std::min(train.inputs.size(2), train.inputs.size(3));
  CRESCENDO_ASSERT(options.pad < limit, "config/validate.h refuses a pad as wide as the images");
  return {.pad = options.pad, .padding = options.padding, .flip = options.flip};
}

// An empty batch, and what is needed to fill it example by example.
class BatchWriter {
 public:
  BatchWriter(const Dataset& dataset, config::Padding padding, int64_t size, bool page_locked)
      : dataset_(dataset), example_size_(dataset.inputs.numel() / dataset.size()) {
    if (dataset.holds_images()) {
      const ImageShape shape{dataset.inputs.size(1), dataset.inputs.size(2), dataset.inputs.size(3)};
      images_.emplace(shape, padding, Normalisation(dataset.mean, dataset.deviation));
    }
    std::vector<int64_t> sizes = dataset.ExampleShape();
    sizes.insert(sizes.begin(), size);
    const auto format = dataset.holds_images() ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
    const at::TensorOptions place = at::TensorOptions().pinned_memory(page_locked);
    batch_.inputs = at::empty(sizes, place.dtype(at::kFloat).memory_format(format));
    batch_.labels = at::empty({size}, place.dtype(at::kLong));
    inputs_ = batch_.inputs.mutable_data_ptr<float>();
    labels_ = batch_.labels.mutable_data_ptr<int64_t>();
  }

  void Append(int64_t example, const Placement& placement) {
    if (images_) {
      images_->Write(dataset_.inputs.const_data_ptr<uint8_t>() + example * example_size_, placement, inputs_);
    } else {
      std::memcpy(inputs_, dataset_.inputs.const_data_ptr<float>() + example * example_size_,
                  static_cast<size_t>(example_size_) * sizeof(float));
    }
    inputs_ += example_size_;
    *labels_++ = dataset_.labels.const_data_ptr<int64_t>()[example];
  }

  Batch Finish() { return std::move(batch_); }

 private:
  const Dataset& dataset_;
  int64_t example_size_;
  std::optional<ImageWriter> images_;
  Batch batch_;
  float* inputs_;  // of the next example
  int64_t* labels_;
};

// Adds how long it lives to `seconds`.
class Waiting {
 public:
  explicit Waiting(double& seconds) : seconds_(seconds), begin_(std::chrono::steady_clock::now()) {}
  ~Waiting() { seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  double& seconds_;
  std::chrono::steady_clock::time_point begin_;
};

}  // namespace

Loader::Loader(const Dataset& train, const config::DataOptions& options, uint64_t seed, const Placing& placing)
    : train_(train),
      augment_(AugmentOptionsFor(train, options)),
      seed_(seed),
      page_locked_(placing.device.is_cuda()),
      prefetch_(static_cast<size_t>(options.prefetch)),
      order_(seed, train.size()) {
  if (ResidentDataset::BytesOf(train) <= placing.memory_for_data) {
    resident_.emplace(train, augment_, seed, placing.device);
    return;  // batches are made as they are taken: on a GPU that only queues the work
  }
  // Rows are copied faster than a thread is woken: these batches, too, are made as they are taken.
  if (!train.holds_images() && placing.device.is_cpu()) return;
  for (int64_t i = 0; i < options.threads; ++i)
    threads_.emplace_back([this](const std::stop_token& stop) { Work(stop); });
}

void Loader::Request(ExampleRange range) {
  CRESCENDO_ASSERT(range.begin >= Examples{0} && range.size > 0, "a request for no examples");
  {
    const std::lock_guard lock(mutex_);
    jobs_.emplace_back().range = range;
  }
  work_to_do_.notify_one();
}

Batch Loader::Take() {
  std::unique_lock lock(mutex_);
  CRESCENDO_ASSERT(!jobs_.empty(), "a batch is taken that was not requested");
  if (threads_.empty()) {
    const ExampleRange range = jobs_.front().range;
    jobs_.pop_front();
    const Waiting waiting(waited_seconds_);
    return resident_ ? resident_->Make(range, order_) : Make(range);
  }
  if (!jobs_.front().done) {
    const Waiting waiting(waited_seconds_);
    job_done_.wait(lock, [this] { return jobs_.front().done; });
  }
  Job job = std::move(jobs_.front());
  jobs_.pop_front();
  const bool one_more_may_be_made = jobs_.size() >= prefetch_;
  lock.unlock();
  if (one_more_may_be_made) work_to_do_.notify_one();
  if (job.failure) std::rethrow_exception(job.failure);
  return std::move(job.batch);
}

Loader::Job* Loader::NextJob() {
  const size_t allowed = std::min(prefetch_, jobs_.size());
  for (size_t i = 0; i < allowed; ++i) {
    if (!jobs_[i].started) return &jobs_[i];
  }
  return nullptr;
}

void Loader::Work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (true) {
    Job* job = nullptr;
    work_to_do_.wait(lock, stop, [&] { return (job = NextJob()) != nullptr; });
    if (stop.stop_requested()) return;
    job->started = true;
    const ExampleRange range = job->range;
    lock.unlock();
    Batch batch;
    std::exception_ptr failure;
    try {
      batch = Make(range);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    job->batch = std::move(batch);
    job->failure = failure;
    job->done = true;
    job_done_.notify_one();
  }
}

Batch Loader::Make(ExampleRange range) const {
  BatchWriter writer(train_, augment_.padding, range.size, page_locked_);
  const int64_t examples = train_.size();
  for (int64_t position = range.begin.value(); position < range.begin.value() + range.size;) {
    const int64_t epoch = order_.EpochAt(Examples{position});
    const uint64_t key = RandomKey(seed_, Stream::kAugmentation, static_cast<uint64_t>(epoch));
    const std::shared_ptr<const ExampleOrder::Permutation> order = order_.Epoch(epoch);
    const int64_t end = std::min(range.begin.value() + range.size, (epoch + 1) * examples);
    for (; position < end; ++position) {
      const int64_t example = (*order)[position - epoch * examples];
      writer.Append(example, DrawPlacement(augment_, key, example));
    }
  }
  return writer.Finish();
}

Batch TestBatch(const Dataset& dataset, int64_t begin, int64_t n) {
  const int64_t end = std::min(begin + n, dataset.size());
  CRESCENDO_ASSERT(begin >= 0 && begin < end, "a test batch of no examples");
  BatchWriter writer(dataset, config::Padding::kZero, end - begin, /*page_locked=*/false);
  for (int64_t example = begin; example < end; ++example) writer.Append(example, Placement{});
  return writer.Finish();
}

}  // namespace crescendo::data
