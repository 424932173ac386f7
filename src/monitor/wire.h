/* wire.h: what a monitor and its clients say to each other over its socket (SOCK_SEQPACKET): one message is a head and its data.
 *
 * A client asks for what it wants, once or more: to be attached, to be told of the end, for a signal, a size, a stop, an exec. Answers to requests come in
 * the order of these, output whenever there is some. The connection of the command that starts the container is such a client, too.
 */
#pragma once

#include "base/err.h"
#include "sys/fd.h"

typedef enum {
	/* from the client */
	WIRE_ATTACH = 1, /* value: WIRE_IN | WIRE_OUT | WIRE_ERR; answered by WIRE_OK */
	WIRE_STDIN,      /* data; nothing: the end. No answer */
	WIRE_RESIZE,     /* value: rows << 16 | columns. No answer */
	WIRE_SIGNAL,     /* value: the signal. Answered */
	WIRE_STOP, /* value: seconds until SIGKILL, -1 never, WIRE_DEFAULT: as configured; more: signal or 0. Answered when it has ended */
	WIRE_WAIT, /* answered by WIRE_EXITED when it has ended (value 1: for good, not to be started again), then by WIRE_GONE */
	WIRE_EXEC, /* descriptors: a file with the MonitorExec, and its three streams, which a terminal (value: WIRE_TTY) does not have. Answered by
			  * WIRE_STARTED, with the terminal's master, then WIRE_EXITED. The connection is that exec's from then on */
	WIRE_RESTART, /* data: the restart policy's name; value: its maximum. Answered */
	WIRE_RENAME,  /* data: the name. Answered */
	WIRE_KEEP, /* what is removed when it ends (--rm) stays if it does so while this client is there, who starts it again. Answered */
	WIRE_REMOVED, /* from who has promised to: the container is removed; data: the name below ingest/ to which its directory was moved, which goes last. No answer */
	WIRE_NAMES,   /* descriptors: two sockets that the container asks for names, UDP and TCP. Answered */
	WIRE_DEVICE,  /* value: the index of the host's end of a device that the container has got. Answered */
	WIRE_UNPUBLISH, /* value: 4 or 6: published ports of that family lead to the container no more, and are free. Answered */
	WIRE_BEGIN,     /* from who starts the container, before all else, and what belongs to it: see begin.h. No answer */
	WIRE_DESCRIPTORS,
	/* from the monitor */
	WIRE_OK = 64,
	WIRE_ERROR,  /* value: ErrCode; more: errno; data: text */
	WIRE_STDOUT, /* data */
	WIRE_STDERR,
	WIRE_STARTED, /* value: pid */
	WIRE_EXITED,  /* value: exit status; more: 1 when killed for want of memory */
	WIRE_GONE,    /* nothing of the run is left: cgroup, mounts, lock */
	WIRE_DROPPED, /* value: bytes that were dropped, as this client was too slow */
} WireKind;

enum { WIRE_IN = 1, WIRE_OUT = 2, WIRE_ERR = 4, WIRE_TTY = 8, WIRE_PROMISE_REMOVE = 16 };
enum { WIRE_DEFAULT = -2, WIRE_DATA_MAX = 32768, WIRE_FDS_MAX = 10, WIRE_EXEC_FDS = 4 };

typedef struct WireHead {
	uint32_t kind;
	int32_t value, more;
} WireHead;

/* wire_send: waits for room unless the socket does not block: then -EAGAIN. wire_receive: 1 with a message, 0 at the end; data holds WIRE_DATA_MAX
 * bytes; descriptors that came along are in fds (at most WIRE_FDS_MAX), others closed. -EPROTO: no message of this kind. */
int wire_send(int sock, WireKind kind, int value, int more, const void *data, size_t n, const int *fds, size_t n_fds) MUST_USE;
int wire_receive(int sock, WireHead *ret, char *data, size_t *ret_n, int fds[static WIRE_FDS_MAX], size_t *ret_fds) MUST_USE;
int wire_send_error(int sock, const Err *e) MUST_USE;
/* wire_error: the error that a message tells; returns its -errno. */
int wire_error(const WireHead *h, const char *data, size_t n, Err *e);
