#include "crescendo/report/comparison.h"
