/* worker.c: see worker.h. */
#include "registry/worker.h"

#include <fcntl.h>

#include "registry/service.h"
#include "sys/fd.h"

static void drop(Worker *w)
{
	loop_fd_remove(&w->watch);
	w->fd = fd_close(w->fd);
	transfer_stop(take(w->client));
}

static void on_worker(void *arg, uint32_t events)
{
	Registry *reg = arg;
	Err e = ERR_INIT;
	if (transfer_dispatch(reg->worker.client, 0, &e) >= 0) return;
	/* what was under way has failed by now; the next request starts another one */
	if (!reg->stopping) log_write(reg->log, LOG_ERROR, "%s", e.msg);
	drop(&reg->worker);
}

static int start(Registry *reg, Err *e)
{
	Worker *w = &reg->worker;
	int r = transfer_start(&(TransferOptions){ .program = reg->o->worker }, &w->client, e);
	if (r < 0) return err_wrap(e, "%s", reg->o->proxies.n ? "proxies" : "webhooks");
	w->fd = fcntl(transfer_fd(w->client), F_DUPFD_CLOEXEC, 3);
	r = w->fd < 0 ? -errno : loop_fd_add(&reg->loop, &w->watch, w->fd, EPOLLIN, on_worker, reg);
	if (r >= 0) return 0;
	drop(w);
	return err_sys(e, -r, "wait for skep-transfer");
}

int worker_init(Registry *reg, Err *e)
{
	reg->worker.fd = -1;
	return reg->o->proxies.n || reg->o->webhooks.n ? start(reg, e) : 0;
}

void worker_stop(Registry *reg)
{
	if (reg->worker.client) drop(&reg->worker);
}

int worker_send(Registry *reg, TransferRequest *req, const TransferFds *fds, TransferFn *fn, void *arg, Err *e)
{
	if (reg->stopping) return err_set(e, ERR_STATE, ECANCELED, "the registry is stopping");
	int r = reg->worker.client ? 0 : start(reg, e);
	return r < 0 ? r : transfer_send(reg->worker.client, req, fds, fn, arg, NULL, e);
}
