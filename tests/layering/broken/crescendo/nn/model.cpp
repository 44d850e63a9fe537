// Breaks the table of layers, so that the test of it can be seen to fail. Nothing compiles this.
#include <ATen/core/Tensor.h>

#include "crescendo/data/loader.h"
