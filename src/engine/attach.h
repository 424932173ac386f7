/* attach.h: a user's standard streams and a container: both ways, until it ends or he leaves. */
#pragma once

#include "monitor/wire.h"

enum { DETACH_KEYS_MAX = 16 };

typedef struct DetachKeys {
	char keys[DETACH_KEYS_MAX];
	size_t n; /* 0: no way out */
} DetachKeys;

/* detach_keys_parse: "ctrl-p,ctrl-q", "a", "ctrl-@,x"; NULL: the default. -EINVAL with docker's words. */
int detach_keys_parse(const char *text, DetachKeys *ret, Err *e) MUST_USE;

typedef struct AttachOptions {
	bool tty;   /* the container has a terminal: ours becomes raw when it is one */
	bool input; /* ours goes to the container */
	bool forward_signals;
	DetachKeys keys; /* heard where there is a terminal */
} AttachOptions;

typedef enum { ATTACH_EXITED, ATTACH_DETACHED, ATTACH_LOST } AttachEnd;

/* attach_run: over the connection to the monitor, which has been asked to attach and to wait. *ret_status: the container's exit status. ATTACH_LOST: the
 * monitor is gone without a word. */
int attach_run(int sock, const AttachOptions *o, int *ret_status, AttachEnd *ret_end, Err *e) MUST_USE;
/* attach_block_signals: call before the container is started, when signals are to be forwarded: none is lost then. */
void attach_block_signals(void);

/* attach_terminal: the same between our streams and the master of a terminal (exec), with the connection to who attends it. */
int attach_terminal(int sock, int master, const AttachOptions *o, int *ret_status, AttachEnd *ret_end, Err *e) MUST_USE;
/* attach_pipes: our streams and pipes: in[1], out[0], err[0] are ours (-1: none); they are closed. */
int attach_pipes(int sock, int in, int out, int err, const AttachOptions *o, int *ret_status, AttachEnd *ret_end, Err *e) MUST_USE;
