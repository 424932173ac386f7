/* start.c: releasing a created container. */
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/launch.h"
#include "runtime/notify_socket.h"
#include "sys/proc.h"

static int wrong_state(ContainerStatus s, Err *e)
{
	switch (s) {
	case STATUS_STOPPED:
		return err_set(e, ERR_STATE, EINVAL, "cannot start a container that has stopped");
	case STATUS_RUNNING:
	case STATUS_PAUSED:
		return err_set(e, ERR_STATE, EINVAL, "cannot start an already running container");
	default:
		return err_set(e, ERR_STATE, EINVAL, "cannot start a container in the %s state", container_status_name(s));
	}
}

/* Attends the init until it has become the program: the connection ends then. */
static int attend_start(Container *c, const OciSpec *spec, int sock, Err *e)
{
	Launch l;
	launch_init(&l, c->rt, c->arena, c);
	l.spec = spec;
	l.process = spec->process;
	for (;;) {
		SyncMessage m;
		int fd = -1, r = sync_receive(sock, &m, &fd);
		if (r < 0) return err_sys(e, r, "start container %s", c->state.id);
		if (r == 0) return 0;
		if (m.kind == SYNC_LOG) {
			log_write(c->rt->log, (LogLevel)m.value, "%s", m.text);
			continue;
		}
		AUTO_FD int listener = fd;
		if (m.kind == SYNC_ERROR) return sync_error(&m, e);
		if (m.kind != SYNC_SECCOMP)
			return err_set(e, ERR_INTERNAL, EPROTO, "unexpected message %u from the container's init", m.kind);
		if ((r = seccomp_agent_send(&l, (pid_t)c->state.pid, listener, e)) < 0) return r;
		if ((r = sync_send(sock, SYNC_GO, 0, NULL, -1)) < 0) return err_sys(e, r, "start container %s", c->state.id);
	}
}

/* A poststart hook that fails stops the container (specification 1.3.0). */
static int run_poststart(Container *c, const OciSpec *spec, Err *e)
{
	int r = hooks_run("poststart", &spec->hooks.poststart, c, STATUS_RUNNING, (pid_t)c->state.pid, NULL, e);
	if (r >= 0) return 0;
	Err ignored = ERR_INIT;
	(void)!cgroup_signal(&c->state.cgroup, 9, &ignored);
	AUTO_FD int pidfd = container_pidfd(c);
	if (pidfd >= 0) (void)!pid_send(pidfd, 9);
	return r;
}

int container_start(Container *c, Err *e)
{
	OciSpec spec;
	int r = container_spec(c, &spec, e);
	if (r < 0) return r;
	ContainerStatus s = container_status(c);
	if (s != STATUS_CREATED) return wrong_state(s, e);
	AUTO_FD int pidfd = container_pidfd(c);
	AUTO_FD int notify = notify_socket_open(c);
	AUTO_FD int sock = fd_connect_unix(c->dir, "start.sock", SOCK_SEQPACKET);
	if (sock < 0) return wrong_state(container_status(c), e);
	if ((r = sync_send(sock, SYNC_GO, 0, NULL, -1)) < 0) return err_sys(e, r, "start container %s", c->state.id);
	if ((r = attend_start(c, &spec, sock, e)) < 0) return err_wrap(e, "unable to start container process");
	if (unlinkat(c->dir, "start.sock", 0) < 0 && errno != ENOENT) return err_sys(e, errno, "remove start.sock");
	if ((r = run_poststart(c, &spec, e)) < 0) return r;
	if (notify >= 0 && pidfd >= 0) return notify_socket_serve(c, notify, pidfd, true, e);
	return 0;
}
