/* exec.h: another process in a running container. */
#pragma once

#include "engine/attach.h"
#include "engine/record.h"
#include "monitor/exec_request.h"

typedef struct ExecStreams {
	bool detach;      /* nothing is attached, and nobody waits for the end */
	bool interactive; /* our input goes to it */
	DetachKeys keys;
} ExecStreams;

/* engine_exec: *ret_status: its exit status, 0 when detached. A program that cannot be executed is ERR_NO_COMMAND or ERR_NOT_EXECUTABLE. */
int engine_exec(Engine *g, const Record *c, const MonitorExec *x, const ExecStreams *s, int *ret_status, AttachEnd *ret_end,
		Err *e) MUST_USE;
