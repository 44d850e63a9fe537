#include "crescendo/distributed/c10d_group.h"

#include <c10/util/Exception.h>
#include <c10/util/Logging.h>
#include <fmt/format.h>

#include <future>
#include <memory>
#include <mutex>
#include <string>
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

// What the groups of a run's workers have in common.
struct Workers {
  Workers(const WorkerPlace& place, at::Device the_device, milliseconds the_timeout, milliseconds join_timeout)
      : rank(place.rank),
        started(place.size),
        device(the_device),
        timeout(the_timeout),
        store(OpenStore(place, join_timeout)),
        own_address(OwnAddressToward(place.master_address)),
        watch(rank, started, OpenWatch(place, *store, own_address, join_timeout), timeout, join_timeout) {}

  const int64_t rank;
  const int64_t started;
  const at::Device device;
  const milliseconds timeout;
  const c10::intrusive_ptr<c10d::Store> store;
  const std::string own_address;
  Watch watch;
  double waited_seconds = 0;
};

// Of all workers, or of the first few.
class C10dGroup : public AllWorkers {
 public:
  // `name`: tells it from the other groups of these workers.
  C10dGroup(std::shared_ptr<Workers> workers, int64_t size, const std::string& name)
      : workers_(std::move(workers)), watch_(workers_->watch), size_(size) {
    if (size == 1 && workers_->started > 1) return;  // nobody to connect to
    try {
      Connect(name);
    } catch (const c10::Error& error) {
      Fail(FirstLine(error));
    }
  }

  ~C10dGroup() override {
    if (watch_.all_well() || !gloo_) return;
    // An operation that waits for a lost worker keeps Gloo's threads, and whoever joins them, until its own timeout.
    // The process is about to end, so they are left where they are.
    // NOLINTNEXTLINE(bugprone-unhandled-exception-at-new): without memory for this the process ends all the same
    static auto* left = new std::vector<Gloo>;
    static std::mutex mutex;
    const std::lock_guard lock(mutex);
    left->push_back(std::move(gloo_));
  }
  C10dGroup(const C10dGroup&) = delete;
  C10dGroup& operator=(const C10dGroup&) = delete;

  int64_t rank() const override { return workers_->rank; }
  int64_t size() const override { return size_; }
  double waited_seconds() const override { return workers_->waited_seconds; }
  void RequireAllWell() override { FailIfOneIsLost(); }
  void Abandon(const std::string& reason) override { watch_.Abandon(reason); }

  std::unique_ptr<Group> OfFirst(int64_t size) override {
    CRESCENDO_ASSERT(rank() < size && size <= workers_->started, "a group is formed by those who are in it");
    watch_.Form(size);
    return std::make_unique<C10dGroup>(workers_, size, std::to_string(size));
  }

  std::optional<int64_t> WaitForCall(const std::atomic<int>& stop) override {
    const std::optional<int64_t> size = watch_.WaitForCall(stop);
    if (!size) FailIfOneIsLost();
    return size;
  }

  int signal_of_waiting() const override { return watch_.stop_signal(); }

  std::unique_ptr<Pending> BeginSum(const at::Tensor& values) override {
    return std::make_unique<Sum>(
        *this,
        Begin([&](c10d::Backend& backend, std::vector<at::Tensor>& tensors) { return backend.allreduce(tensors); },
              values));
  }

  void Max(const at::Tensor& values) override {
    Await(Begin(
        [](c10d::Backend& backend, std::vector<at::Tensor>& tensors) {
          c10d::AllreduceOptions options;
          options.reduceOp = c10d::ReduceOp::MAX;
          return backend.allreduce(tensors, options);
        },
        values));
  }

  void Broadcast(const at::Tensor& values) override {
    Await(Begin([](c10d::Backend& backend, std::vector<at::Tensor>& tensors) { return backend.broadcast(tensors); },
                values));
  }

 private:
  using Gloo = c10::intrusive_ptr<c10d::ProcessGroupGloo>;

  class Sum : public Pending {
   public:
    Sum(C10dGroup& group, Work work) : group_(group), work_(std::move(work)) {}
    void Wait() override { group_.Await(work_); }

   private:
    C10dGroup& group_;
    Work work_;
  };

  void Connect(const std::string& name) {
    auto options = c10d::ProcessGroupGloo::Options::create(workers_->timeout);
    options->devices = {c10d::ProcessGroupGloo::createDeviceForHostname(workers_->own_address)};
    const auto rank = static_cast<int>(workers_->rank);
    const auto size = static_cast<int>(size_);
    // On a thread of its own, since c10d waits for the others without knowing what the watch knows.
    std::promise<Gloo> promise;
    const std::shared_future<Gloo> connected = promise.get_future();
    std::thread thread(
        [promise = std::move(promise), store = PrefixedStore("gloo", name), rank, size, options]() mutable {
          try {
            promise.set_value(c10::make_intrusive<c10d::ProcessGroupGloo>(store, rank, size, options));
          } catch (...) {
            promise.set_exception(std::current_exception());
          }
        });
    try {
      AwaitUntil([&] { return connected.wait_for(milliseconds(0)) == std::future_status::ready; });
    } catch (...) {
      thread.detach();  // ends with its own timeout, or with the process
      throw;
    }
    thread.join();
    gloo_ = connected.get();
    if (!workers_->device.is_cuda()) return;
#ifdef CRESCENDO_CUDA
    auto nccl_options = c10d::ProcessGroupNCCL::Options::create();
    nccl_options->timeout = workers_->timeout;
    nccl_ = c10::make_intrusive<c10d::ProcessGroupNCCL>(PrefixedStore("nccl", name), rank, size, nccl_options);
#endif
  }

  c10::intrusive_ptr<c10d::Store> PrefixedStore(const std::string& backend, const std::string& name) const {
    return c10::make_intrusive<c10d::PrefixStore>(backend + "/" + name, workers_->store);
  }

  // Null where there is nobody to do it with.
  template <class Operation>
  Work Begin(const Operation& operation, const at::Tensor& values) {
    CRESCENDO_ASSERT(values.is_non_overlapping_and_dense(), "a tensor for the other workers is dense in memory");
    watch_.Enter();
    if (!gloo_) return {};
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

  void Await(const Work& work) {
    if (!work) {  // the others wait, and one of them may have been lost
      FailIfOneIsLost();
      return;
    }
    AwaitUntil([&] { return work->isCompleted(); });
    try {
      work->wait();  // does not wait any more; throws where the operation failed
    } catch (const std::exception& error) {
      const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
      Fail(torch_error != nullptr ? FirstLine(*torch_error) : error.what());
    }
  }

  // Ends when it is done, or when a worker is known to be lost: c10d's own waiting does not know that.
  template <class Condition>
  void AwaitUntil(const Condition& done) {
    const auto begin = Clock::now();
    bool reported = false;
    while (!done()) {
      const auto waited = Clock::now() - begin;
      FailIfOneIsLost();
      if (waited > workers_->timeout && !reported) {
        reported = true;
        watch_.ReportLate();
      }
      // Short at first, since most sums are; a long one need not be noticed to the microsecond.
      std::this_thread::sleep_for(
          std::clamp<Clock::duration>(waited / 16, std::chrono::microseconds(10), std::chrono::milliseconds(2)));
    }
    workers_->waited_seconds += std::chrono::duration<double>(Clock::now() - begin).count();
  }

  void FailIfOneIsLost() {
    if (!watch_.all_well()) Fail("");
  }

  // The watch may hear a moment later than the operation what happened.
  [[noreturn]] void Fail(const std::string& reason) {
    const std::string verdict = watch_.WaitForVerdict(workers_->timeout + std::chrono::seconds(1));
    const std::string sentence = verdict.empty() ? "the workers lost each other: " + reason : verdict;
    watch_.Abandon(sentence);  // where the watch knew nothing: the others are to know
    throw WorkerLost(sentence);
  }

  const std::shared_ptr<Workers> workers_;
  Watch& watch_;
  const int64_t size_;
  Gloo gloo_;
#ifdef CRESCENDO_CUDA
  c10::intrusive_ptr<c10d::ProcessGroupNCCL> nccl_;
#endif
};

}  // namespace

std::unique_ptr<AllWorkers> JoinGroup(const WorkerPlace& place, at::Device device, milliseconds timeout,
                                      milliseconds join_timeout) {
  if (place.size == 1) return std::make_unique<LocalGroup>();
  return JoinGroupOverC10d(place, device, timeout, join_timeout);
}

std::unique_ptr<AllWorkers> JoinGroupOverC10d(const WorkerPlace& place, at::Device device, milliseconds timeout,
                                              milliseconds join_timeout) {
  // What fails here is reported by an exception that names the worker; c10d would print stack traces besides.
  if (SystemEnvironment("TORCH_CPP_LOG_LEVEL") == nullptr) FLAGS_caffe2_log_level = c10::GLOG_FATAL;
  const auto workers = std::make_shared<Workers>(place, device, timeout, join_timeout);
  return std::make_unique<C10dGroup>(workers, place.size, "all");
}

}  // namespace crescendo::distributed
