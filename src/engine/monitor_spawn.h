/* monitor_spawn.h: a monitor is executed. */
#pragma once

#include "base/err.h"

/* Our ends of its sockets (monitor/begin.h). Closed without a word, it is gone. */
typedef struct MonitorSeed {
	int control, begin;
} MonitorSeed;
#define MONITOR_SEED_NONE ((MonitorSeed){ -1, -1 })

/* monitor_spawn: a monitor that waits for its container. */
int monitor_spawn(MonitorSeed *ret, Err *e) MUST_USE;
void monitor_seed_close(MonitorSeed *s);
#define AUTO_MONITOR_SEED AUTO(monitor_seed_close) MonitorSeed
