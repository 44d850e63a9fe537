// What identifies a run, so that two people, or two builds, can compare theirs:
//
//   RunDigest digest = DigestRun("runs/grow");
//   digest.settings;  // of all options that change what is learned
//   digest.order;     // of every update's place and size, and of the examples in it, in order
//   digest.weights;   // of the names, shapes, types and bytes of what was learned
//
// Settings and order are whole numbers and text, the same on every machine (but where a schedule's rounding hangs on
// the last bit of exp or cos). Weights are floats: equal bits are promised on one machine with one build only, since
// the kernels of LibTorch add in an order that depends on the processor.
//
// All are SHA-256 in hexadecimal.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "crescendo/config/options.h"
#include "crescendo/data/dataset.h"
#include "crescendo/nn/model.h"
#include "crescendo/schedule/plan.h"

namespace crescendo::train {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  Sha256& Add(std::string_view bytes);
  Sha256& Add(int64_t number);              // eight bytes, little-endian
  Sha256& Add(const at::Tensor& elements);  // type, shape, elements row-major; of any device and memory layout
  std::string Hex();                        // once, at the end

 private:
  void* context_;
};

std::string Sha256Of(std::string_view bytes);
std::string Sha256OfFile(const std::filesystem::path& path);  // UserError where it cannot be read

std::string DigestOf(const data::Dataset& dataset);
std::string DigestOf(const schedule::Plan& plan);                   // of every number in it
std::string DigestOf(const std::vector<nn::NamedTensor>& tensors);  // in any order

struct RunDigest {
  std::string settings;
  std::string order;
  std::string weights;
  std::string all;      // of these three
  std::string changed;  // "" or a sentence: the data have changed since, and with them the order
  std::string end;      // how the run ended, as weights.h keeps it: "finished" or not to the end of its plan
};

std::string DigestOfSettings(const config::Options& options);
std::string DigestOfOrder(const schedule::Plan& plan, uint64_t seed);

// Of a run's folder, or of its weights' file. UserError where it holds no weights.
RunDigest DigestRun(const std::filesystem::path& path);

}  // namespace crescendo::train
