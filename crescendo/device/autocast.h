// run.precision as a guard around a forward pass:
//
//   {
//     const Autocast autocast(device, options.run.precision);
//     loss = SummedCrossEntropy(model->Forward(inputs, ghosts), labels);
//   }
//   loss.backward();  // outside: each operator goes back in the type it went forward in
//
// With bf16, products and convolutions take bfloat16 and everything that needs more range or precision stays in fp32
// (LibTorch's lists). Weights stay fp32; their bfloat16 copies live until the guard ends, or the KeptCasts around it.
// With fp32 it does nothing. A guard holds for its own thread.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "crescendo/config/choices.h"

namespace crescendo::device {

class Autocast {
 public:
  Autocast(c10::Device device, config::Precision precision);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  c10::DeviceType device_;
  bool was_enabled_;
  c10::ScalarType previous_type_;
};

// Around several guards between which no weight changes, as those of an update's micro-batches: the copies of the
// weights are made once for all of them.
class KeptCasts {
 public:
  KeptCasts();
  ~KeptCasts();
  KeptCasts(const KeptCasts&) = delete;
  KeptCasts& operator=(const KeptCasts&) = delete;
};

}  // namespace crescendo::device
