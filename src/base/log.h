/* log.h: the log of a program: text for people, JSON for callers that parse it.
 *
 * Only mains, commands and servers log; libraries return errors. One writev-sized line per message, so lines of
 * several processes never mix. Formats:
 *   text  time="2026-01-02T03:04:05Z" level=error msg="…"   (what callers of runc expect in --log files)
 *   json  {"level":"error","msg":"…","time":"2026-01-02T03:04:05Z"}
 */
#pragma once

#include "base/err.h"

typedef enum { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR } LogLevel;

typedef struct Log {
	int fd; /* -1: nothing is written; not owned */
	LogLevel level;
	bool json;
	/* sink: gets the bare messages (of at least level) instead of fd, with data; NULL: none */
	void (*sink)(void *data, LogLevel level, const char *message);
	void *data;
} Log;

void log_write(const Log *l, LogLevel level, const char *fmt, ...) PRINTF_LIKE(3, 4);
