/* log_sink.h: the way of the container's output to its log driver.
 *
 *  - A driver that writes files is called at once.
 *  - One that may wait for somebody, and any with mode=non-blocking, lives in a process of its own (named skep-log), which gets the lines over a socket:
 *    whatever it waits for, the monitor does not. What it has no room for is kept here. When that is much, a blocking log is full, and nothing is read from
 *    the container until there is room; a non-blocking one loses whole lines, and counts them.
 *  - That process ends when the monitor does, after what it was given by then.
 */
#pragma once

#include "monitor/log_driver.h"
#include "sys/loop.h"

typedef struct LogSink LogSink;

/* log_sink_open: room is called (from the loop) when the log has been full and is so no more. -EINVAL, or what opening the driver gave. */
int log_sink_open(const LogTarget *t, const LogDriverType *type, Loop *loop, LoopFn *room, void *arg, LogSink **ret, Err *e) MUST_USE;
/* log_sink_write: output as it was read; n = 0: the stream has ended. Never waits. */
void log_sink_write(LogSink *s, LogStream stream, int64_t time, const char *p, size_t n);
bool log_sink_is_full(const LogSink *s);
/* log_sink_lost: bytes of output that are in no log, since the last call. */
uint64_t log_sink_lost(LogSink *s);
/* log_sink_exited: a child of the monitor has ended. */
void log_sink_exited(LogSink *s, pid_t pid, int status);
/* log_sink_close: everything is in the log, or LOG_CLOSE_MS have passed (and what is left is lost). NULL is nothing. */
enum { LOG_CLOSE_MS = 10000 };
uint64_t log_sink_close(LogSink *s); /* log_sink_lost of its last moments */
