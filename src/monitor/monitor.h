/* monitor.h: the process that stays with one container: it starts it, owns its streams, its log and its exit status, and is gone when it is.
 *
 * Single-threaded, one loop. It survives everything but its own kill; while it lives it holds the container's lock.
 */
#pragma once

#include "base/err.h"

/* monitor_run: the whole life. control, owned: the socket of who starts the container, from where it comes (begin.h) and which is a client from then on.
 * title: blanks of the command line, for the container's directory: lists of processes show it. Returns 0 when the container was started, whatever became of it. May not return: another command is executed in
 * its place to start the container again, or to remove it. */
int monitor_run(int control, char *title, Err *e) MUST_USE;
