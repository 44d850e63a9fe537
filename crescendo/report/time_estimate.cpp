#include "crescendo/report/time_estimate.h"
