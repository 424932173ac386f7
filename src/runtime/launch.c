/* launch.c: the command's side of a launch: clones the child and answers it until the program runs, or waits for its start. */
#include "runtime/launch.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/lsm.h"
#include "sys/netlink.h"
#include "sys/proc.h"
#include "sys/sysctl.h"

void launch_init(Launch *l, const Runtime *rt, Arena *a, Container *c)
{
	*l = (Launch){ .rt = rt,
		       .arena = a,
		       .container = c,
		       .sync = { -1, -1 },
		       .listen = -1,
		       .console = -1,
		       .proc = -1,
		       .null = -1,
		       .dev = -1,
		       .cgroup_v2 = -1,
		       .pidfd = -1,
		       .pty = -1,
		       .notify_fd = -1 };
}

void launch_done(Launch *l)
{
	const int fds[] = { l->sync[0], l->sync[1], l->listen, l->console, l->proc, l->null, l->cgroup_v2, l->pidfd, l->pty, l->notify_fd };
	AUTO_FD_BIN bin = { .n = 0 };
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fd_bin_add(&bin, fds[i]);
	for (size_t i = 0; i < l->n_cgroup_fds; i++)
		fd_bin_add(&bin, l->cgroup_fds[i]);
	for (size_t i = 0; i < l->n_joins; i++)
		fd_bin_add(&bin, l->joins[i].fd);
	for (size_t i = 0; i < l->mounts.n; i++)
		fd_bin_add(&bin, l->mounts.items[i].source);
}

int launch_connect(Launch *l, const char *console_socket, Err *e)
{
	if (!console_socket) return 0;
	l->console = fd_connect_unix(AT_FDCWD, console_socket, SOCK_STREAM);
	return l->console < 0 ? err_sys(e, l->console, "connect to console socket %s", console_socket) : 0;
}

int launch_open_host(Launch *l, Err *e)
{
	l->proc = sysctl_open_proc(e);
	if (l->proc < 0) return l->proc;
	int r = sync_pair(l->sync);
	return r < 0 ? err_sys(e, r, "socketpair") : 0;
}

static const char *applicable(const Launch *l, const char *label, bool enabled, const char *what)
{
	if (!label || !*label || enabled) return label;
	log_write(l->rt->log, LOG_WARN, "%s \"%s\" is not applied: this machine does not run that module", what, label);
	return NULL;
}

int launch_preserve(Launch *l, unsigned n, Err *e)
{
	for (unsigned i = 0; i < n; i++) {
		int flags = fcntl((int)(3 + i),
				  F_GETFD); /* a descriptor of our own is close-on-exec; one of the caller's came through an exec */
		if (flags < 0 || flags & FD_CLOEXEC)
			return err_set(e, ERR_USAGE, EBADF, "preserved descriptor %u of %u is not open: %u", i + 1, n, 3 + i);
	}
	l->preserve_fds = n;
	return 0;
}

int launch_set_process(Launch *l, const OciProcess *p, Err *e)
{
	l->process = p;
	if (!p || (!p->apparmor_profile && !p->selinux_label)) return 0;
	OciProcess *own = arena_alloc(l->arena, sizeof *own);
	if (!own) return err_sys(e, ENOMEM, "process");
	*own = *p;
	if (p->apparmor_profile) own->apparmor_profile = applicable(l, p->apparmor_profile, apparmor_enabled(), "process.apparmorProfile");
	if (p->selinux_label) own->selinux_label = applicable(l, p->selinux_label, selinux_enabled(), "process.selinuxLabel");
	l->process = own;
	return 0;
}

int launch_compile_filter(Launch *l, Err *e)
{
	const SeccompProfile *p = l->spec->lnx->seccomp;
	if (!p) return 0;
	/* the compiler's working memory goes at once; the program is small */
	AUTO_ARENA scratch = ARENA_INIT(l->arena->max);
	int r = seccomp_compile(p, &scratch, &l->filter, e);
	if (r < 0) return err_wrap(e, "config.json");
	struct sock_filter *kept = arena_array(l->arena, l->filter.prog.len, sizeof *kept);
	if (!kept) return err_sys(e, ENOMEM, "seccomp filter");
	memcpy(kept, l->filter.prog.filter, l->filter.prog.len * sizeof *kept);
	l->filter.prog.filter = kept;
	if (l->filter.notify && (!p->listener_path || !*p->listener_path))
		return err_set(e, ERR_CONFIG, EINVAL, "config.json: linux.seccomp.listenerPath: required with SCMP_ACT_NOTIFY");
	l->has_filter = true;
	log_write(l->rt->log, LOG_DEBUG, "seccomp filter flags: %u", l->filter.flags);
	return 0;
}

static int write_maps(Launch *l, Err *e)
{
	const OciLinux *x = l->spec->lnx;
	return idmap_write(-1, l->pid, &x->uid_mappings, &x->gid_mappings, false, e);
}

static int answer_idmap(Launch *l, int i, int tree, Err *e)
{
	char path[64];
	if (i < 0 || (size_t)i >= l->mounts.n || tree < 0) return err_set(e, ERR_INTERNAL, EPROTO, "id mapped mounts");
	snprintf(path, sizeof path, "%d/ns/user", l->pid);
	bool own = !l->mounts.items[i].mount->uid_mappings.n;
	AUTO_FD int ns = own ? openat(l->proc, path, O_RDONLY | O_CLOEXEC) : -1;
	if (own && ns < 0) return err_sys(e, errno, "open the container's user namespace");
	return mounts_map(l, (size_t)i, tree, ns, e);
}

static int start_unit(Launch *l, Err *e)
{
	ContainerState *s = &l->container->state;
	int r = cgroup_start_unit(&s->cgroup, l->spec->lnx->resources, &s->annotations, s->id, l->pid, e);
	if (r >= 0) r = cgroup_apply(&s->cgroup, l->spec->lnx->resources, false, e);
	return r < 0 ? r : cgroup_give_away(l, e);
}

static int answer_maps(Launch *l, int what, Err *e)
{
	switch (what) {
	case 2:
		return start_unit(l, e);
	default:
		return write_maps(l, e);
	}
}

static int move_net_devices(Launch *l, Err *e)
{
	char path[64];
	if (!l->spec->lnx->net_devices.n) return 0;
	snprintf(path, sizeof path, "%d/ns/net", l->pid);
	AUTO_FD int ns = openat(l->proc, path, O_RDONLY | O_CLOEXEC);
	if (ns < 0) return err_sys(e, errno, "open the container's network namespace");
	for (size_t i = 0; i < l->spec->lnx->net_devices.n; i++) {
		int r = netdev_move(&l->spec->lnx->net_devices.items[i], ns, e);
		if (r < 0) return r;
	}
	return 0;
}

static int answer_host(Launch *l, Err *e)
{
	int r = move_net_devices(l, e);
	if (r < 0) return r;
	if ((r = hooks_run("prestart", &l->spec->hooks.prestart, l->container, STATUS_CREATED, l->pid, NULL, e)) < 0) return r;
	return hooks_run("createRuntime", &l->spec->hooks.create_runtime, l->container, STATUS_CREATING, l->pid, NULL, e);
}

static int write_pid_file(const Launch *l, Err *e)
{
	char text[16];
	if (!l->pid_file) return 0;
	const char *slash = strrchr(l->pid_file, '/');
	AUTO_FREE char *dir = strndup(l->pid_file, slash ? (size_t)(slash - l->pid_file) + 1 : 0);
	if (!dir) return err_sys(e, ENOMEM, "pid file");
	AUTO_FD int at = openat(AT_FDCWD, *dir ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (at < 0) return err_sys(e, errno, "write pid file %s", l->pid_file);
	int n = snprintf(text, sizeof text, "%d", l->pid);
	int r = fd_replace_file(at, slash ? slash + 1 : l->pid_file, text, (size_t)n, 0644, REPLACE_LAZY, e);
	return r < 0 ? err_wrap(e, "pid file %s", l->pid_file) : 0;
}

static int send_pidfd(const Launch *l, Err *e)
{
	if (!l->pidfd_socket) return 0;
	AUTO_FD int sock = fd_connect_unix(AT_FDCWD, l->pidfd_socket, SOCK_STREAM);
	if (sock < 0) return err_sys(e, sock, "connect to pidfd socket %s", l->pidfd_socket);
	int r = fd_send(sock, "pidfd", 5, &l->pidfd, 1);
	return r < 0 ? err_sys(e, r, "send pidfd to %s", l->pidfd_socket) : 0;
}

/* The pid is known: what others can see of the container is written down. */
static int publish(Launch *l, Err *e)
{
	int r;
	if (l->pidfd < 0) {
		l->pidfd = pid_open(l->pid);
		if (l->pidfd < 0) return err_sys(e, l->pidfd, "open the container's init");
	}
	ProcStat st;
	if ((r = proc_stat(l->pid, &st)) < 0) return err_sys(e, r, "read the container's init");
	l->ignored = st.ignored;
	if (!l->exec) {
		ContainerState *s = &l->container->state;
		s->pid = l->pid;
		s->start_time = st.start_time;
		if ((r = container_save(l->container, e)) < 0) return r;
	}
	if ((r = write_pid_file(l, e)) < 0) return r;
	return send_pidfd(l, e);
}

bool launch_sets_oom_score(const Launch *l)
{
	return !l->exec || (l->staged && oci_namespace(l->spec, CLONE_NEWUSER));
}

/* Before anything of the container can run: what only the host's side may set on the process. */
static int adopt(Launch *l, Err *e)
{
	const OciProcess *p = l->process;
	int r;
	if (p && p->oom_score_adj.set && launch_sets_oom_score(l)) {
		char path[64], text[16];
		snprintf(path, sizeof path, "%d/oom_score_adj", l->pid);
		snprintf(text, sizeof text, "%d", (int)p->oom_score_adj.v);
		r = fd_write_file(l->proc, path, text);
		if (r < 0 && !l->rt->rootless) return err_sys(e, r, "set process.oomScoreAdj");
	}
	if (l->container->state.rdt.clos) {
		AUTO_FD int rdt = rdt_open(NULL, l->arena, NULL, e);
		if (rdt < 0) return rdt;
		if ((r = rdt_join(rdt, &l->container->state.rdt, l->pid, e)) < 0) return r;
	}
	return 0;
}

bool launch_asks(const Launch *l)
{
	return l->new_user || l->staged || l->host_work || l->asks_idmap ||
	       (!l->exec && l->container->state.cgroup.driver == CGROUP_SYSTEMD);
}

static int reap_stage(Launch *l, Err *e)
{
	int status;
	if (retry_eintr(waitpid(l->pid, &status, 0)) < 0) return err_sys(e, errno, "wait for the stage");
	l->pid = 0;
	return 0;
}

/* The init overtook the stage that tells its pid, and waits for an answer. The stage has nothing more to do than to tell and to exit; one
 * that was killed in between never will. */
static int await_stage(Launch *l, Err *e)
{
	int r = reap_stage(l, e);
	if (r < 0) return r;
	struct pollfd p = { l->sync[0], POLLIN, 0 };
	if (poll(&p, 1, 0) > 0 && p.revents & POLLIN) return 0;
	return err_set(e, ERR_INTERNAL, ECHILD, "the stage of the container's init ended before it told its pid (killed?)");
}

/* One message. Returns 1 to go on, 0 when the child needs nothing more. */
static int attend(Launch *l, const SyncMessage *m, int fd, Err *e)
{
	int r = 0;
	switch (m->kind) {
	case SYNC_ERROR:
		fd_close(fd);
		return sync_error(m, e);
	case SYNC_LOG:
		log_write(l->rt->log, (LogLevel)m->value, "%s", m->text);
		return 1;
	case SYNC_PID: {
		if (l->pid > 0 && (r = reap_stage(l, e)) < 0) return r;
		l->pid = m->value;
		r = adopt(l, e);
		return r < 0 ? r : 1;
	}
	case SYNC_PTY:
		l->pty = fd;
		return 1;
	case SYNC_ASK_MAPS:
		r = answer_maps(l, m->value, e);
		break;
	case SYNC_ASK_IDMAP:
		r = answer_idmap(l, m->value, fd, e);
		fd_close(fd);
		break;
	case SYNC_ASK_HOST:
		r = answer_host(l, e);
		break;
	case SYNC_SECCOMP:
		r = seccomp_agent_send(l, l->pid, fd, e);
		fd_close(fd);
		break;
	case SYNC_READY:
		if (m->value) return 0;                          /* it is on its own now */
		if (!launch_asks(l) && !l->wait_start) return 1; /* has been answered already */
		r = publish(l, e);
		break;
	default:
		fd_close(fd);
		return err_set(e, ERR_INTERNAL, EPROTO, "unexpected message %u from the container's init", m->kind);
	}
	if (r < 0) return r;
	r = sync_send(l->sync[0], SYNC_GO, (int)l->ignored, NULL, -1);
	return r < 0 ? err_sys(e, r, "answer the container's init") : 1;
}

/* The stream ended: executed, or dead? A child that was ready and is gone has become the program. */
static int verdict(Launch *l, bool ready, Err *e)
{
	if (ready) return 0;
	return err_set(e, ERR_INTERNAL, ECHILD, "the container's init ended before it was ready%s",
		       l->pidfd >= 0 && pid_has_exited(l->pidfd) == 1 ? " (killed?)" : "");
}

/* Whether the answer is about the init itself. The stage's own question is the one for its id maps. */
static bool wants_pid(const SyncMessage *m)
{
	switch (m->kind) {
	case SYNC_ASK_MAPS:
		return m->value != 1;
	case SYNC_ASK_IDMAP:
	case SYNC_ASK_HOST:
	case SYNC_SECCOMP:
	case SYNC_READY:
		return true;
	default:
		return false;
	}
}

/* The program must find the size of our terminal from its first moment on. */
static void take_tty_size(Launch *l)
{
	struct winsize w;
	if (!l->process || !l->process->terminal || l->console >= 0 || ioctl(0, TIOCGWINSZ, &w) < 0) return;
	l->tty_size = (OciConsoleSize){ .height = w.ws_row, .width = w.ws_col };
}

static int hand_filter(Launch *l, Err *e)
{
	int r = launch_compile_filter(l, e);
	if (r < 0) return r;
	SyncMessage head = { .kind = SYNC_FILTER, .value = (int)l->filter.flags, .errnum = l->filter.notify };
	r = sync_send_data(l->sync[0], &head, l->filter.prog.filter, l->filter.prog.len * sizeof *l->filter.prog.filter);
	return r < 0 && r != -EPIPE ? err_sys(e, r, "hand the seccomp filter to the container's init") : 0;
}

/* What the command does beside the init, without being asked. */
static int work_beside(Launch *l, Err *e)
{
	int r;
	if (l->meanwhile && (r = l->meanwhile(l->meanwhile_data, e)) < 0) return r;
	if (l->late_cgroup) {
		r = sync_send_fds(l->sync[0], SYNC_CGROUP, l->cgroup_fds, l->n_cgroup_fds);
		if (r < 0 && r != -EPIPE) return err_sys(e, r, "hand the cgroup to the container's init");
	}
	if (l->late_filter && (r = hand_filter(l, e)) < 0) return r;
	if (!l->staged && (r = adopt(l, e)) < 0) return r;
	if (launch_asks(l) || l->wait_start) return 0;
	/* nothing to ask: all is done while the init builds the root, and it need not wait for us */
	if ((r = publish(l, e)) < 0) return r;
	r = sync_send(l->sync[0], SYNC_GO, (int)l->ignored, NULL, -1);
	return r < 0 && r != -EPIPE ? err_sys(e, r, "answer the container's init") : 0;
}

/* Answers the init until it needs nothing more. */
static int attend_all(Launch *l, Err *e)
{
	bool ready = false, pid_known = !l->staged;
	SyncMessage early = { .kind = 0 };
	AUTO_FD int early_fd = -1;
	for (;;) {
		SyncMessage m;
		int fd = -1, r = sync_receive(l->sync[0], &m, &fd);
		if (r < 0) return err_sys(e, r, "hear from the container's init");
		if (r == 0) return verdict(l, ready, e);
		if (m.kind == SYNC_READY) ready = true;
		if (!pid_known && wants_pid(&m)) {
			/* the init overtook the stage that tells its pid; it asks once, and then waits for the answer */
			early = m;
			early_fd = fd;
			if ((r = await_stage(l, e)) < 0) return r;
			continue;
		}
		r = attend(l, &m, fd, e);
		if (m.kind == SYNC_PID) pid_known = true;
		if (r > 0 && m.kind == SYNC_PID && early.kind) r = attend(l, &early, take_fd(early_fd), e);
		if (r <= 0) return r;
	}
}

int launch_go(Launch *l, Err *e)
{
	take_tty_size(l);
	int r = launch_clone(l, &l->pid, &l->pidfd, e);
	if (r < 0) return r;
	l->sync[1] = fd_close(l->sync[1]);
	if ((r = work_beside(l, e)) < 0) return r;
	return attend_all(l, e);
}

int launch_kill(Launch *l)
{
	int status = 0;
	if (l->pid <= 0) return 0;
	if (l->pidfd >= 0)
		(void)!pid_send(l->pidfd, SIGKILL);
	else
		kill(l->pid, SIGKILL); /* our child, not yet waited for */
	return retry_eintr(waitpid(l->pid, &status, 0)) < 0 ? -errno : status;
}
