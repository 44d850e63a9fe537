// A group of one: what a run without other workers uses. Nothing is sent, nothing is waited for.
#pragma once

#include "crescendo/distributed/group.h"

namespace crescendo::distributed {

class LocalGroup : public AllWorkers {
 public:
  int64_t rank() const override { return 0; }
  int64_t size() const override { return 1; }
  std::unique_ptr<Pending> BeginSum(const at::Tensor& /*values*/) override { return std::make_unique<Done>(); }
  void Max(const at::Tensor& /*values*/) override {}
  void Broadcast(const at::Tensor& /*values*/) override {}
  std::unique_ptr<Group> OfFirst(int64_t /*size*/) override { return std::make_unique<LocalGroup>(); }
  std::optional<int64_t> WaitForCall(const std::atomic<int>& /*stop*/) override { return std::nullopt; }
  int signal_of_waiting() const override { return 0; }
  void RequireAllWell() override {}
  void Abandon(const std::string& /*reason*/) override {}
  double waited_seconds() const override { return 0; }

 private:
  struct Done : Pending {
    void Wait() override {}
  };
};

}  // namespace crescendo::distributed
