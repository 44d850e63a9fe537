#include "crescendo/distributed/c10d_group.h"

#include <c10/util/Exception.h>
#include <c10/util/Logging.h>
#include <fmt/format.h>

#include <mutex>
#include <optional>
#include <thread>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#ifdef CRESCENDO_CUDA
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

#include "crescendo/base/error.h"
#include "crescendo/distributed/local_group.h"
#include "crescendo/distributed/socket.h"
#include "crescendo/distributed/watch.h"

namespace crescendo::distributed {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;
using Work = c10::intrusive_ptr<c10d::Work>;

// What LibTorch says first, without its stack trace.
std::string FirstLine(const c10::Error& error) {
  const std::string text = error.what_without_backtrace();
  return text.substr(0, text.find('\n'));
}

c10::intrusive_ptr<c10d::Store> OpenStore(const WorkerPlace& place, milliseconds timeout) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(place.master_port);
  options.isServer = place.rank == 0 && !place.store_is_served;
  options.waitWorkers = false;
  options.timeout = timeout;
  if (options.isServer) {
    // Left to itself, the store listens on every network of this machine.
    Descriptor listener = place.inherited_listener >= 0 ? Descriptor(place.inherited_listener)
                                                        : ListenOn(place.master_address, place.master_port);
    options.masterListenFd = listener.Release();
  }
  try {
    const auto store = c10::make_intrusive<c10d::TCPStore>(place.master_address, options);
    return c10::make_intrusive<c10d::PrefixStore>("crescendo/" + place.attempt, store);
  } catch (const c10::Error& error) {
    throw RunError(fmt::format("worker {} cannot reach worker 0 at {} port {} within {:g} s: {}", place.rank,
                               place.master_address, place.master_port, std::chrono::duration<double>(timeout).count(),
                               FirstLine(error)));
  }
}

// Worker 0's watch listens; the others find it in the store.
Descriptor OpenWatch(const WorkerPlace& place, c10d::Store& store, const std::string& own_address,
                     milliseconds timeout) {
  constexpr const char* kKey = "watch";
  if (place.rank == 0) {
    Descriptor listener = ListenOn(own_address, 0);
    store.set(kKey, fmt::format("{} {}", PortOf(listener), own_address));
    return listener;
  }
  std::string text;
  try {
    text = store.get_to_str(kKey);
  } catch (const c10::Error& error) {
    throw RunError(fmt::format("worker 0 did not come to {} port {} within {:g} s: {}", place.master_address,
                               place.master_port, std::chrono::duration<double>(timeout).count(), FirstLine(error)));
  }
  const size_t space = text.find(' ');
  return ConnectTo(text.substr(space + 1), std::stoll(text), timeout);
}

class C10dGroup : public Group {
 public:
  C10dGroup(const WorkerPlace& place, at::Device device, milliseconds timeout, milliseconds join_timeout)
      : rank_(place.rank), size_(place.size), timeout_(timeout), store_(OpenStore(place, join_timeout)) {
    const std::string own_address = OwnAddressToward(place.master_address);
    watch_.emplace(rank_, size_, OpenWatch(place, *store_, own_address, join_timeout), timeout, join_timeout);
    try {
      Connect(own_address, device);
    } catch (const c10::Error& error) {
      Fail(FirstLine(error));
    }
  }

  ~C10dGroup() override {
    if (watch_->all_well()) return;
    // An operation that waits for a lost worker keeps Gloo's threads, and whoever joins them, until its own timeout.
    // The process is about to end, so they are left where they are.
    // NOLINTNEXTLINE(bugprone-unhandled-exception-at-new): without memory for this the process ends all the same
    static auto* left = new std::vector<c10::intrusive_ptr<c10d::ProcessGroupGloo>>;
    static std::mutex mutex;
    const std::lock_guard lock(mutex);
    left->push_back(std::move(gloo_));
  }
  C10dGroup(const C10dGroup&) = delete;
  C10dGroup& operator=(const C10dGroup&) = delete;

  int64_t rank() const override { return rank_; }
  int64_t size() const override { return size_; }
  double waited_seconds() const override { return waited_seconds_; }
  void Abandon(const std::string& reason) override { watch_->Abandon(reason); }

  std::unique_ptr<Pending> BeginSum(const at::Tensor& values) override {
    return std::make_unique<Sum>(
        *this,
        Begin([&](c10d::Backend& backend, std::vector<at::Tensor>& tensors) { return backend.allreduce(tensors); },
              values));
  }

  void Max(const at::Tensor& values) override {
    Await(*Begin(
        [](c10d::Backend& backend, std::vector<at::Tensor>& tensors) {
          c10d::AllreduceOptions options;
          options.reduceOp = c10d::ReduceOp::MAX;
          return backend.allreduce(tensors, options);
        },
        values));
  }

  void Broadcast(const at::Tensor& values) override {
    Await(*Begin([](c10d::Backend& backend, std::vector<at::Tensor>& tensors) { return backend.broadcast(tensors); },
                 values));
  }

 private:
  class Sum : public Pending {
   public:
    Sum(C10dGroup& group, Work work) : group_(group), work_(std::move(work)) {}
    void Wait() override { group_.Await(*work_); }

   private:
    C10dGroup& group_;
    Work work_;
  };

  void Connect(const std::string& own_address, at::Device device) {
    auto options = c10d::ProcessGroupGloo::Options::create(timeout_);
    options->devices = {c10d::ProcessGroupGloo::createDeviceForHostname(own_address)};
    const auto rank = static_cast<int>(rank_);
    const auto size = static_cast<int>(size_);
    gloo_ = c10::make_intrusive<c10d::ProcessGroupGloo>(c10::make_intrusive<c10d::PrefixStore>("gloo", store_), rank,
                                                        size, options);
    if (!device.is_cuda()) return;
#ifdef CRESCENDO_CUDA
    auto nccl_options = c10d::ProcessGroupNCCL::Options::create();
    nccl_options->timeout = timeout_;
    nccl_ = c10::make_intrusive<c10d::ProcessGroupNCCL>(c10::make_intrusive<c10d::PrefixStore>("nccl", store_), rank,
                                                        size, nccl_options);
#endif
  }

  template <class Operation>
  Work Begin(const Operation& operation, const at::Tensor& values) {
    CRESCENDO_ASSERT(values.is_non_overlapping_and_dense(), "a tensor for the other workers is dense in memory");
    watch_->Enter();
    std::vector<at::Tensor> tensors{values};
    try {
#ifdef CRESCENDO_CUDA
      if (values.is_cuda()) return operation(*nccl_, tensors);
#endif
      return operation(*gloo_, tensors);
    } catch (const c10::Error& error) {
      Fail(FirstLine(error));
    }
  }

  // Ends when the operation is done, or when a worker is known to be lost: c10d's own waiting does not know that.
  void Await(c10d::Work& work) {
    const auto begin = Clock::now();
    bool reported = false;
    while (!work.isCompleted()) {
      const auto waited = Clock::now() - begin;
      if (!watch_->all_well()) Fail("");
      if (waited > timeout_ && !reported) {
        reported = true;
        watch_->ReportLate();
      }
      // Short at first, since most sums are; a long one need not be noticed to the microsecond.
      std::this_thread::sleep_for(
          std::clamp<Clock::duration>(waited / 16, std::chrono::microseconds(10), std::chrono::milliseconds(2)));
    }
    waited_seconds_ += std::chrono::duration<double>(Clock::now() - begin).count();
    try {
      work.wait();  // does not wait any more; throws where the operation failed
    } catch (const std::exception& error) {
      const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
      Fail(torch_error != nullptr ? FirstLine(*torch_error) : error.what());
    }
  }

  // The watch may hear a moment later than the operation what happened.
  [[noreturn]] void Fail(const std::string& reason) {
    const std::string verdict = watch_->WaitForVerdict(timeout_ + std::chrono::seconds(1));
    const std::string sentence = verdict.empty() ? "the workers lost each other: " + reason : verdict;
    watch_->Abandon(sentence);  // where the watch knew nothing: the others are to know
    throw WorkerLost(sentence);
  }

  const int64_t rank_;
  const int64_t size_;
  const milliseconds timeout_;
  double waited_seconds_ = 0;
  c10::intrusive_ptr<c10d::Store> store_;
  std::optional<Watch> watch_;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo_;
#ifdef CRESCENDO_CUDA
  c10::intrusive_ptr<c10d::ProcessGroupNCCL> nccl_;
#endif
};

}  // namespace

std::unique_ptr<Group> JoinGroup(const WorkerPlace& place, at::Device device, milliseconds timeout,
                                 milliseconds join_timeout) {
  if (place.size == 1) return std::make_unique<LocalGroup>();
  // What fails here is reported by an exception that names the worker; c10d would print stack traces besides.
  if (SystemEnvironment("TORCH_CPP_LOG_LEVEL") == nullptr) FLAGS_caffe2_log_level = c10::GLOG_FATAL;
  return std::make_unique<C10dGroup>(place, device, timeout, join_timeout);
}

}  // namespace crescendo::distributed
