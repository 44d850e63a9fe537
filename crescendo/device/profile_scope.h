// A stretch of work that profilers see under a name: LibTorch's own (profile/trace.h) and ours (profile/recorder.h).
// Where none watches it costs a look at a list of this thread, some 20 ns.
//
//   {
//     const ProfileScope scope("optimizer");
//     ... step ...
//   }
#pragma once

#include <ATen/SequenceNumber.h>
#include <ATen/record_function.h>

#include <string>
#include <vector>

namespace crescendo::device {

class ProfileScope {
 public:
  explicit ProfileScope(const char* name) : record_(at::RecordScope::USER_SCOPE) {
    if (record_.isActive()) record_.before(name);
  }

  // Work with a result that is of interest: what goes in, and what comes out. The sequence number, which the next
  // operator's backward node will have, is how backward passes find back here.
  ProfileScope(const std::string& name, const at::Tensor& inputs) : record_(at::RecordScope::USER_SCOPE) {
    if (!record_.isActive()) return;
    const c10::IValue arguments[] = {inputs};
    record_.before(name, arguments, static_cast<int64_t>(at::sequence_number::peek()));
  }
  at::Tensor Give(at::Tensor outputs) {
    if (record_.needsOutputs()) record_.setOutputs(std::vector<c10::IValue>{outputs});
    return outputs;
  }

 private:
  at::RecordFunction record_;
};

}  // namespace crescendo::device
