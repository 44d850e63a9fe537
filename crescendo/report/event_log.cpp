#include "crescendo/report/event_log.h"
