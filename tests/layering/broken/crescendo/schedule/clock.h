// Breaks the table of layers, so that the test of it can be seen to fail. Nothing compiles this.
#include <ATen/core/Tensor.h>

#include "crescendo/base/error.h"
#include "crescendo/schedule/units.h"
