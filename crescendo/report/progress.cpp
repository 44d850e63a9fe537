#include "crescendo/report/progress.h"
