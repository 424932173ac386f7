/* sync.h: what the command and the container's init say to each other while a container is being made.
 *
 * One SOCK_SEQPACKET pair; each side is single-threaded and the order is fixed, so a message is a kind, a number and perhaps a
 * text or a descriptor. The end of the stream without an error means that the program was executed: the socket is
 * close-on-exec.
 */
#pragma once

#include "base/err.h"
#include "base/log.h"
#include "sys/fd.h"

typedef enum {
	SYNC_ERROR = 1, /* the init failed: code, errno and text; it exits after that */
	SYNC_LOG,       /* value: LogLevel; text */
	SYNC_PID,       /* value: pid of the init, from the stage that cloned it */
	SYNC_ASK_MAPS,  /* write my id maps (value: SyncAsk) */
	SYNC_ASK_IDMAP, /* value: index of a mount; descriptor: its tree: map its ids */
	SYNC_ASK_HOST,  /* namespaces stand: hooks, network devices, systemd unit, RDT */
	SYNC_PTY,       /* descriptor: the pty's master; text: its name */
	SYNC_SECCOMP,   /* descriptor: the seccomp listener */
	SYNC_CGROUP,    /* to the init: descriptors to enter the cgroup by */
	SYNC_FILTER,    /* to the init: value: flags of the seccomp filter, errnum: whether it notifies; its code follows */
	SYNC_READY,     /* everything is done but the start */
	SYNC_GO,        /* answer: go on */
} SyncKind;

typedef struct SyncMessage {
	uint32_t kind;
	int32_t value, errnum;
	char text[ERR_MESSAGE_MAX];
} SyncMessage;

/* sync_pair: [0] for the command, [1] for the init. */
int sync_pair(int ret[static 2]) MUST_USE;

int sync_send(int sock, SyncKind kind, int value, const char *text, int fd) MUST_USE;
int sync_send_error(int sock, const Err *e) MUST_USE;

/* sync_receive: 1 with a message, 0 at the end of the stream, -errno. *ret_fd gets the descriptor that came along, or -1. */
int sync_receive(int sock, SyncMessage *ret, int *ret_fd) MUST_USE;

/* sync_send_fds, sync_receive_fds: a message of that kind that is nothing but descriptors. */
int sync_send_fds(int sock, SyncKind kind, const int *fds, size_t n) MUST_USE;
int sync_receive_fds(int sock, SyncKind kind, int *fds, size_t max, size_t *ret_n) MUST_USE;

/* sync_send_data, sync_receive_data: a message without a text, and data in its place. Received: the number of bytes, -EPIPE at the end
 * of the stream, -EPROTO for another kind than head has or for more than max bytes. */
int sync_send_data(int sock, SyncMessage *head, void *p, size_t n) MUST_USE;
ssize_t sync_receive_data(int sock, SyncMessage *head, void *p, size_t max) MUST_USE;

/* sync_ask: sends kind and waits for SYNC_GO. -EPIPE when the other side is gone. */
int sync_ask(int sock, SyncKind kind, int value, const char *text, int fd) MUST_USE;

/* sync_error: the message's error as an Err; returns its -errno. */
int sync_error(const SyncMessage *m, Err *e);
