/* cmd_start.c: start, attach, exec: getting into containers. */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/skep/containers.h"
#include "engine/attach.h"
#include "engine/control.h"
#include "engine/start.h"
#include "sys/fd.h"

/* ---- start ---- */

static int start_attached(Invocation *in, Engine *g, const Record *c, Err *e)
{
	int sock = -1;
	bool input = option_switch(in, "interactive") && c->config.open_stdin, proxy = option_switch(in, "sig-proxy");
	StartOptions o = { .streams = WIRE_OUT | WIRE_ERR, .wait = true };
	if (proxy && !c->config.tty) attach_block_signals();
	int r = engine_start(g, c, &o, in->arena, &sock, e);
	if (r < 0) return r;
	AUTO_FD int own = sock;
	r = foreground_run(in, g, c, own, input, option_value(in, "detach-keys"), proxy, c->host.auto_remove, e);
	return r == -ECANCELED ? 0 : r;
}

static int start_one(Engine *g, const Record *c, void *arg, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(64 << 20);
	int sock = -1;
	int r = engine_start(g, c, &(StartOptions){ .again = *(bool *)arg }, &a, &sock, e);
	fd_close(sock);
	return r == -EALREADY ? 0 : r;
}

int container_start_run(Invocation *in, Err *e)
{
	bool again = option_switch(in, "again");
	if (!option_switch(in, "attach") && !option_switch(in, "interactive"))
		return each_container(in, &(EachContainer){ .fn = start_one, .arg = &again, .summary = "failed to start containers" }, e);
	if (in->args.n > 1) return err_set(e, ERR_USAGE, EINVAL, "you cannot start and attach multiple containers at once");
	AUTO_ENGINE g = { .root_dir = -1 };
	Record c;
	int r = skep_engine(in, &g, e);
	if (r < 0 || (r = record_find(&g, in->args.items[0], in->arena, &c, e)) < 0) return r;
	return start_attached(in, &g, &c, e);
}

/* ---- attach ---- */

int container_attach_run(Invocation *in, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	Record c;
	RunState s;
	int r = skep_engine(in, &g, e);
	if (r < 0 || (r = record_find(&g, in->args.items[0], in->arena, &c, e)) < 0) return r;
	if ((r = engine_state(&g, &c, in->arena, &s, e)) < 0) return r;
	if (s.status == RUN_RESTARTING)
		return err_set(e, ERR_STATE, EBUSY, "You cannot attach to a restarting container, wait until it is running");
	if (s.status != RUN_RUNNING) return err_set(e, ERR_STATE, EINVAL, "You cannot attach to a stopped container, start it first");
	if (engine_is_paused(&g, &c) > 0) return err_set(e, ERR_STATE, EINVAL, "You cannot attach to a paused container, unpause it first");
	bool proxy = option_switch(in, "sig-proxy"), input = !option_switch(in, "no-stdin") && c.config.open_stdin;
	if ((r = check_input(input, c.config.tty, e)) < 0) return r;
	AUTO_FD int sock = monitor_connect(&g, c.id);
	if (sock < 0) return err_sys(e, -sock, "reach the monitor of container %s", c.name);
	if (proxy && !c.config.tty) attach_block_signals();
	if ((r = monitor_ask(sock, WIRE_ATTACH, WIRE_OUT | WIRE_ERR, 0, NULL, e)) < 0) return r;
	if ((r = wire_send(sock, WIRE_WAIT, 0, 0, NULL, 0, NULL, 0)) < 0) return err_sys(e, -r, "ask the container's monitor");
	record_event(&g, &c, "attach", NULL, NULL);
	return foreground_run(in, &g, &c, sock, input, option_value(in, "detach-keys"), proxy, false, e);
}
