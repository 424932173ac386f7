/* log_driver.h: where the output of a container goes.
 *
 * A driver is a row of functions over a private object. It gets lines (log_lines.h). Those that write files are called by the monitor itself; those that
 * may wait for somebody are called in a process of their own, and so is any driver with mode=non-blocking (log_sink.h).
 */
#pragma once

#include "monitor/log_line.h"
#include "monitor/log_options.h"

typedef struct LogTarget {
	int dir; /* the container's directory, borrowed */
	const char *id, *name, *image;
	const StrMap *options; /* --log-opt */
	const StrMap *fields;  /* what "labels" and "env" choose, and for json-file the tag; sorted */
	const char *tag;       /* made of the option or of the default {{.ID}} */
	const StrList *packer; /* the command that compresses its standard input to its standard output */
} LogTarget;

typedef struct LogDriver LogDriver;
typedef struct LogDriverType {
	const LogKind *kind;
	/* open: *ret is the driver's own. */
	int (*open)(const LogTarget *t, LogDriver **ret, Err *e);
	/* put, flush: 0, or -errno when something since the last flush could not be kept (the caller counts what was lost). What was put is
	 * written at the latest by flush. */
	int (*put)(LogDriver *d, const LogLine *line);
	int (*flush)(LogDriver *d);
	void (*close)(LogDriver *d);
	/* exited: a child has ended that may be the driver's. NULL: it has none. */
	void (*exited)(LogDriver *d, pid_t pid, int status);
} LogDriverType;

const LogDriverType *log_driver_find(const LogKind *kind);

extern const LogDriverType log_journald, log_json_file, log_local, log_none, log_syslog;
