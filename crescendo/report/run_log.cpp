#include "crescendo/report/run_log.h"
