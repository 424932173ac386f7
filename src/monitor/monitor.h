/* monitor.h: the process that stays with one container: it starts it, owns its streams, its log and its exit status, and is gone when it is.
 *
 * Single-threaded, one loop. It survives everything but its own kill; while it lives it holds the container's lock.
 */
#pragma once

#include "base/err.h"

/* monitor_run: the whole life. control: a client's socket, that of who starts the container; begin_socket: over it comes what the container is (begin.h).
 * Both owned. title: blanks of the command line, for the container's directory: lists of processes show it. Returns 0 when the container was started,
 * whatever became of it, or nobody wants a monitor any more. May not return: another command is executed in its place to start the container again, or
 * to remove it. */
int monitor_run(int control, int begin_socket, char *title, Err *e) MUST_USE;
