/* log_lines.h: output as it was read, cut into lines. */
#pragma once

#include "base/buf.h"
#include "monitor/log_line.h"

/* LogPending: the beginning of a line whose end has not come. */
typedef struct LogPending {
	Buf text;
	int64_t time;
	uint32_t piece; /* of the line, that was handed out last */
} LogPending;

typedef struct LogLines {
	LogPending pending[2];
} LogLines;

typedef void LogLineFn(void *arg, const LogLine *line);

void log_lines_init(LogLines *l);
void log_lines_done(LogLines *l);
/* log_lines_feed: calls fn for each line, and piece of one, that is complete by now; its text is valid during the call. n = 0: the stream has
 * ended, and so has its last line. -ENOMEM: some of it is lost. */
int log_lines_feed(LogLines *l, LogStream stream, int64_t time, const char *p, size_t n, LogLineFn *fn, void *arg) MUST_USE;
