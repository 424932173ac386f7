/* control.h: what one does with a container that is there: stop, kill, wait, pause, remove. Errors are docker's sentences without "Error response from
 * daemon: ". */
#pragma once

#include "engine/record.h"

/* engine_stop: asks it to end by its signal (signal 0), kills it after timeout seconds (-1: never, WIRE_DEFAULT: as it was configured). Returns when it has
 * ended and is cleared. One that does not run is left alone. */
int engine_stop(Engine *g, const Record *c, int timeout, int signal, Err *e) MUST_USE;
/* engine_keep: a container that runs and is removed when it ends (--rm) is not, if that is while *ret_socket is open: for who starts it again. -1: it does not
 * run. -EBUSY: a command stays with it (run --rm without -d) and will remove it. */
int engine_keep(Engine *g, const Record *c, int *ret_socket, Err *e) MUST_USE;
/* engine_kill: -ESRCH "is not running". Of SIGKILL it returns when the container has ended. */
int engine_kill(Engine *g, const Record *c, int signal, Err *e) MUST_USE;
int engine_pause(Engine *g, const Record *c, bool pause, Err *e) MUST_USE;
/* engine_is_paused: 1, 0. */
int engine_is_paused(Engine *g, const Record *c) MUST_USE;

typedef enum { WAIT_NOT_RUNNING, WAIT_NEXT_EXIT, WAIT_REMOVED } WaitCondition;
/* engine_wait: *ret_status: the exit status it ended with. */
int engine_wait(Engine *g, const Record *c, WaitCondition condition, int *ret_status, Err *e) MUST_USE;

typedef struct RemoveOptions {
	bool force;   /* kills a running one */
	bool volumes; /* its anonymous volumes, too */
} RemoveOptions;
/* engine_discard: removes a container whose end its monitor (sock) has just told: the record goes now, the files and what is left of the run are
 * taken away by the monitor, whom promise_remove told to wait for that. -ENOENT: somebody else has removed it. */
int engine_discard(Engine *g, const Record *c, int sock, Err *e) MUST_USE;
int engine_remove(Engine *g, const Record *c, const RemoveOptions *o, Err *e) MUST_USE;
int engine_rename(Engine *g, const Record *c, const char *name, Err *e) MUST_USE;
