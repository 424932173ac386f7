/* start.h: starting a container, and the connection to its monitor. */
#pragma once

#include "engine/monitor_spawn.h"
#include "engine/record.h"
#include "monitor/wire.h"

typedef struct StartOptions {
	unsigned streams;       /* WIRE_OUT, WIRE_ERR: attach to these before the start */
	bool wait;              /* ask to be told of the end */
	bool promise_remove;    /* the caller removes the container when it has ended (--rm) */
	bool again;             /* a restart by policy or by the monitor: counts */
	unsigned rows, columns; /* of the terminal; 0: not known */
	MonitorSeed *monitor;   /* what engine_start takes over; NULL: it makes one */
} StartOptions;

/* engine_start: the container is running when it returns. *ret_socket is the connection to its monitor, with what was asked for on the way
 * (the answers to these are read already). -EALREADY: it runs. A program that cannot be executed is ERR_NO_COMMAND or ERR_NOT_EXECUTABLE. */
int engine_start(Engine *g, const Record *c, const StartOptions *o, Arena *a, int *ret_socket, Err *e) MUST_USE;

/* monitor_connect: to the monitor of a running container. -ENOENT, -ECONNREFUSED when there is none. */
int monitor_connect(const Engine *g, const char *id) MUST_USE;
/* monitor_ask: sends one request and waits for its answer: 0, or the error that it told. */
int monitor_ask(int sock, WireKind kind, int value, int more, const char *text, Err *e) MUST_USE;
/* monitor_await: only the answer to what was sent. */
int monitor_await(int sock, Err *e) MUST_USE;

/* engine_state: how the container is doing. A container that lost its monitor is put right first: what is left of it is ended and cleared, and the
 * state says so. */
int engine_state(Engine *g, const Record *c, Arena *a, RunState *ret, Err *e) MUST_USE;
/* engine_end_remains: what a monitor that is not there any more has left of the run: processes, control groups, the runtime's state, its socket. */
int engine_end_remains(const Engine *g, const char *id, Err *e) MUST_USE;
/* engine_recover: engine_state for who has the lock of the container, whose directory dir is: nobody attends it, whatever its state says. */
int engine_recover(Engine *g, const Record *c, int dir, Arena *a, RunState *ret, Err *e) MUST_USE;
