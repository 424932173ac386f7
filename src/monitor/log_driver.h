/* log_driver.h: where the output of a container goes.
 *
 * A driver is a row of functions over a private object. It gets output as it was read, in pieces of any size, with the time at which it was
 * read; it splits lines itself (log_lines.h helps). It never blocks for long: files are written, sockets are tried without waiting.
 */
#pragma once

#include "base/bind.h"
#include "sys/fd.h"

typedef enum { LOG_STDOUT = 1, LOG_STDERR = 2 } LogStream;

typedef struct LogTarget {
	int dir; /* the container's directory, borrowed */
	const char *id, *name;
	const StrMap *options;    /* --log-opt */
	const StrMap *attributes; /* of the container, for tags and fields */
	bool resume;              /* the container runs on: after a lost monitor or in a restart */
} LogTarget;

typedef struct LogDriver LogDriver;
typedef struct LogDriverType {
	const char *name;
	/* open: *ret is the driver's own. check: whether these options are good ones; called when the container is made. */
	int (*check)(const StrMap *options, Err *e);
	int (*open)(const LogTarget *t, LogDriver **ret, Err *e);
	/* write: 0, or -errno when it could not be kept (the caller counts what was lost). n = 0: the stream has ended. */
	int (*write)(LogDriver *d, LogStream stream, int64_t time, const char *p, size_t n);
	void (*close)(LogDriver *d);
} LogDriverType;

/* log_driver_find: NULL when there is none of that name; "" is the default, json-file. */
const LogDriverType *log_driver_find(const char *name);

extern const LogDriverType log_json_file, log_none;
