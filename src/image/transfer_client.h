/* transfer_client.h: the side of `skep`: starts `skep-transfer` and talks to it.
 *
 *   AUTO_TRANSFER TransferClient *c = NULL;
 *   r = transfer_start(&(TransferOptions){ .offline = false }, &c, e);
 *   r = transfer_call(c, &request, &(TransferFds){ .body = memfd, … }, on_event, arg, arena, &result, e);
 *
 * Ownership
 *  - Descriptors and requests are the caller's and may be closed as soon as a call returns.
 *  - An event and its strings are valid inside the callback only; transfer_call copies its result into the arena.
 *
 * Invariants
 *  - A TransferClient belongs to one thread. Callbacks run inside transfer_dispatch and transfer_call only; they may send and
 *    cancel, not stop.
 *  - Each request that was sent ends in exactly one TRANSFER_DONE or TRANSFER_FAILED, also when the worker dies or
 *    says something that makes no sense: all that were under way then fail, each naming what was lost.
 */
#pragma once

#include "image/transfer_wire.h"

typedef struct TransferClient TransferClient;

typedef struct TransferOptions {
	const char *program; /* for tests; NULL: skep-transfer beside the running program, then in the libexec folder */
	bool offline;        /* LAYER_* only: the worker has no network at all */
} TransferOptions;

/* TransferFds: the descriptors of a request; 0 stands for none (standard input is never passed). What each op takes stands with
 * TransferOp: body is what is got (or the compressed blob), input what is put, imported or compressed. */
typedef struct TransferFds {
	int body, tar, index, input;
} TransferFds;

/* transfer_start: starts the worker; it drops all privileges itself. -ENOENT when the program is not installed. */
int transfer_start(const TransferOptions *o, TransferClient **ret, Err *e) MUST_USE;

/* transfer_stop: ends the worker (whatever is under way fails in silence) and reaps it. NULL is nothing. */
void transfer_stop(TransferClient *c);
void auto_transfer(TransferClient **c);
#define AUTO_TRANSFER AUTO(auto_transfer)

typedef void TransferFn(void *arg, const TransferEvent *ev);

/* transfer_send: hands a request over; fn (may be NULL) gets its events. req->id and req->fds are set here. -EAGAIN: too
 * many are under way. *ret_id (may be NULL) is for transfer_cancel. */
int transfer_send(TransferClient *c, TransferRequest *req, const TransferFds *fds, TransferFn *fn, void *arg, uint64_t *ret_id,
		  Err *e) MUST_USE;

/* transfer_cancel: the request ends soon: TRANSFER_FAILED with ECANCELED unless it was done already. */
int transfer_cancel(TransferClient *c, uint64_t id) MUST_USE;

/* transfer_fd: readable when transfer_dispatch has something to do. */
int transfer_fd(const TransferClient *c);
/* transfer_pending: requests under way. */
size_t transfer_pending(const TransferClient *c);
/* transfer_dispatch: calls back for what has arrived, waiting for the first event up to timeout_ms (0: not; -1: for ever). Returns the
 * number of events, or a negative errno when the worker is gone: the pending requests have failed by then. */
int transfer_dispatch(TransferClient *c, int timeout_ms, Err *e) MUST_USE;

/* transfer_call: sends one request and dispatches until it has ended; others go on meanwhile. fn (may be NULL) gets its progress.
 * *ret (may be NULL) is its TRANSFER_DONE, strings in a. A TRANSFER_FAILED becomes e. */
int transfer_call(TransferClient *c, TransferRequest *req, const TransferFds *fds, TransferFn *fn, void *arg, Arena *a, TransferEvent *ret,
		  Err *e) MUST_USE;
