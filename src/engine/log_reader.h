/* log_reader.h: the log of a container, read back: of the drivers that keep one (json-file, local).
 *
 * A reader never waits. It sees each whole line once, in the order in which they were written, however often the files are rotated and compressed while
 * it reads; a line whose end is not written yet is not seen. Only what was rotated away before it was reached is missing.
 */
#pragma once

#include "engine/log_files.h"
#include "monitor/log_frame.h"

typedef struct LogReadOptions {
	int dir;            /* the container's directory; must outlive the reader */
	const char *id;     /* of the container */
	const char *driver; /* "": json-file */
	const StrMap *options;
	int64_t since, until; /* ns since 1970, both inclusive; 0: no limit */
	int64_t tail;         /* only so many lines of what there is at the beginning; -1: all */
	bool notify;          /* with log_reader_fd */
} LogReadOptions;

typedef struct LogReader {
	LogFiles files;
	bool json;
	int64_t since, until;
	int64_t skip; /* lines of the first file that --tail leaves out */
	bool ended;   /* at `until` */
	int notify;   /* inotify descriptor; -1 */
	Buf buf;
	size_t used; /* of buf */
	LogEntry entry;
} LogReader;

/* log_reader_open: -ENOTSUP with docker's words for a driver that keeps nothing. */
int log_reader_open(const LogReadOptions *o, LogReader **ret, Err *e) MUST_USE;
void log_reader_free(LogReader **r);
#define AUTO_LOG_READER AUTO(log_reader_free) LogReader

/* log_reader_next: 1 with the next line, valid until the next call; 0: there is none now, or (r->ended) none before `until` will follow. */
int log_reader_next(LogReader *r, const LogEntry **ret, Err *e) MUST_USE;
/* log_reader_heard: to be called when r->notify is readable, before the next lines are asked for: it is readable again when there may be more. */
void log_reader_heard(LogReader *r);
