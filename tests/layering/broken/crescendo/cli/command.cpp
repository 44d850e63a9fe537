// Breaks the table of layers, so that the test of it can be seen to fail. Nothing compiles this.
#include "crescendo/data/fetch.h"
#include "crescendo/data/loader.h"
