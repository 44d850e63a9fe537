#include "crescendo/report/plan_chart.h"
