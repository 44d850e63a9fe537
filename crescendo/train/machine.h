// What there is to train on, for commands that share it out among several runs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace crescendo::train {

// Cores this process may use.
int64_t UsableCores();

// The GPUs this program could train on, each as CUDA_VISIBLE_DEVICES names it; empty where it can use none.
std::vector<std::string> VisibleGpus();

}  // namespace crescendo::train
