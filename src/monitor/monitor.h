/* monitor.h: the process that stays with one container: it starts it, owns its streams, its log and its exit status, and is gone when it is.
 *
 * Single-threaded, one loop. It survives everything but its own kill; while it lives it holds the container's lock.
 */
#pragma once

#include "base/err.h"

/* Descriptors that a monitor is started with, the last ones its configuration's "sources"; the lock is also that of the command which it becomes to start its container again. */
enum { MONITOR_CONTROL = 3, MONITOR_ROOT, MONITOR_LOCK, MONITOR_CONFIG, MONITOR_SPEC, MONITOR_SOURCES };

typedef struct MonitorStart {
	const char *dir; /* the container's directory */
	int control;     /* the socket of who starts it: a client; its requests so far are heard before the start. Owned */
	int root;        /* the root as a detached mount. Owned */
	int lock;        /* the container's lock. Owned */
	int config;      /* a MonitorConfig (monitor/config.h). Owned */
	int spec;        /* the container's config.json. Owned */
} MonitorStart;

/* monitor_run: the whole life. Returns 0 when the container was started, whatever became of it. May not return: another command is executed in
 * its place to start the container again, or to remove it. */
int monitor_run(const MonitorStart *start, Err *e) MUST_USE;
