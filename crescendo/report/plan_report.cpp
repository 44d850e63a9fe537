#include "crescendo/report/plan_report.h"
