/* worker.h: skep-transfer, which asks other servers for this one: upstreams for what is not here (upstream.h), receivers for what happened
 * (webhook.h). It has no privileges, and its answers come to the loop as events, so nothing here waits.
 */
#pragma once

#include "image/transfer_client.h"
#include "sys/loop.h"

typedef struct Registry Registry;

typedef struct Worker {
	TransferClient *client; /* NULL: not started, or it has died */
	int fd;                 /* a duplicate of its socket, which is watched: the client closes its own when the worker dies */
	LoopFd watch;
} Worker;

/* worker_init: starts it when there are proxies or webhooks: a missing program is told at once. */
int worker_init(Registry *reg, Err *e) MUST_USE;
/* worker_stop: what is under way is not told any more. */
void worker_stop(Registry *reg);

/* worker_send: as transfer_send. One that has died is started again; what was under way had failed by then. -ECANCELED: the registry stops. */
int worker_send(Registry *reg, TransferRequest *req, const TransferFds *fds, TransferFn *fn, void *arg, Err *e) MUST_USE;
