/* exec_request.h: another process in a running container, as a client asks for it (WIRE_EXEC). What is left open is that of the container. */
#pragma once

#include "base/bind.h"

typedef struct MonitorExec {
	const char *id; /* of this exec, for events */
	StrList args;
	StrList env;             /* added to the container's; of one name this one holds */
	const char *user;        /* "name|uid[:group|gid]"; NULL or "": the container's */
	const char *working_dir; /* NULL or "": the container's */
	bool tty, privileged;
	uint32_t rows, columns; /* of the terminal; 0: the kernel's default */
	bool quiet;             /* a health check: no events */
} MonitorExec;

extern const BindTable monitor_exec_table;
