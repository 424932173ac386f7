/* logs.h: what `logs` shows: a container's log as it is, and what follows. */
#pragma once

#include "engine/log_reader.h"
#include "engine/record.h"

typedef struct LogsOptions {
	int64_t since, until; /* ns since 1970; 0: no limit */
	int64_t tail;         /* -1: all */
	bool follow;          /* until the run that is under way has ended, as docker does; one that does not run is not waited for */
	int leaver;           /* a descriptor: nobody wants more when it is hung up; -1: none */
} LogsOptions;

/* engine_logs: calls line for each. It returns a negative errno to end it, which engine_logs returns. idle: all that there is now has been given. */
typedef struct LogsSink {
	int (*line)(void *arg, const LogEntry *entry, Err *e);
	int (*idle)(void *arg, Err *e);
	void *arg;
} LogsSink;
int engine_logs(Engine *g, const Record *c, const LogsOptions *o, const LogsSink *to, Err *e) MUST_USE;
