/* init.c: the child of a launch, from the clone to the container's program.
 *
 * Runs single-threaded in a copy of the command's memory, as pid 1 of the container (or as the process of an exec), with all it needs in
 * the Launch. What goes wrong before the start is the command's to report, after it the starter's.
 */
#include "runtime/launch.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/lsm.h"
#include "sys/netlink.h"
#include "sys/sysctl.h"

void init_fail(int sock, const Err *e)
{
	int r = sync_send_error(sock, e);
	_exit(r < 0 ? 2 : 1);
}

static void debug(Launch *l, const char *text)
{
	if (l->rt->log->level > LOG_DEBUG) return;
	int r = sync_send(l->sync[1], SYNC_LOG, LOG_DEBUG, text, -1);
	(void)r;
}

/* In a user namespace: be its root, where it has one, so that what is made belongs to it. */
static int become_namespace_root(Launch *l, Err *e)
{
	uint32_t host;
	if (!oci_namespace(l->spec, CLONE_NEWUSER)) return 0;
	if (l->new_user && idmap_to_host(&l->spec->lnx->uid_mappings, 0, &host) < 0) return 0;
	if (syscall(SYS_setresgid, 0, 0, 0) < 0 && errno != EINVAL) return err_sys(e, errno, "become root of the user namespace");
	if (syscall(SYS_setresuid, 0, 0, 0) < 0 && errno != EINVAL) return err_sys(e, errno, "become root of the user namespace");
	return 0;
}

static int join_keyring(Launch *l, Err *e)
{
	if (!l->new_keyring) return 0;
	char *name = arena_printf(l->arena, "_ses.%s", l->container->state.id);
	const char *label = l->process ? l->process->selinux_label : NULL;
	int r = label && selinux_enabled() ? lsm_set_keycreate_label(l->proc, label, e) : 0;
	if (r < 0) return r;
	/* a kernel without keys, or a filter around us: runs as well without */
	if (name && syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name) < 0 && errno != ENOSYS && errno != EPERM && errno != EDQUOT)
		return err_sys(e, errno, "join a session keyring");
	return 0;
}

static int set_names(Launch *l, Err *e)
{
	const char *host = l->spec->hostname, *domain = l->spec->domainname;
	if (host && *host && sethostname(host, strlen(host)) < 0) return err_sys(e, errno, "set hostname \"%s\"", host);
	if (domain && *domain && setdomainname(domain, strlen(domain)) < 0) return err_sys(e, errno, "set domainname \"%s\"", domain);
	return 0;
}

/* The namespaced sysctls of the task that writes: the host's procfs is as good as any, and nobody else's. */
static int set_sysctls(Launch *l, Err *e)
{
	for (size_t i = 0; i < l->spec->lnx->sysctl.n; i++) {
		const StrPair *s = &l->spec->lnx->sysctl.items[i];
		int r = sysctl_write(l->proc, s->key, s->value, e);
		if (r < 0) return r;
	}
	return 0;
}

static int enter_environment(Launch *l, Err *e)
{
	int r = namespaces_hide(l, e);
	if (r < 0) return r;
	if (l->new_user && !l->staged && (r = sync_ask(l->sync[1], SYNC_ASK_MAPS, 0, NULL, -1)) < 0) _exit(1);
	/* the systemd unit takes the process before it sees its own cgroup namespace */
	if (l->container->state.cgroup.driver == CGROUP_SYSTEMD && !l->exec && (r = sync_ask(l->sync[1], SYNC_ASK_MAPS, 2, NULL, -1)) < 0)
		_exit(1);
	if (setsid() < 0 && errno != EPERM) return err_sys(e, errno, "make a session");
	if (!l->late_cgroup && (r = cgroup_join_self(l->cgroup_fds, l->n_cgroup_fds)) < 0)
		return err_sys(e, r, "enter the container's cgroup");
	if ((r = namespaces_enter(l, e)) < 0) return r;
	if ((r = become_namespace_root(l, e)) < 0) return r;
	/* again: the kernel forgets it when the ids change */
	if (!l->exec && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return err_sys(e, errno, "prctl");
	/* unreachable for others in the same pid namespace until the program is executed */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) return err_sys(e, errno, "prctl");
	return 0;
}

static int reset_affinity(Launch *l, Err *e)
{
	const CpuAffinity *a = l->process ? l->process->exec_cpu_affinity : NULL;
	if (l->exec && a && ((a->final && *a->final) || (a->initial && *a->initial)))
		return cpu_affinity_set(a->final && *a->final ? a->final : a->initial, e);
	int r = cpu_affinity_reset();
	(void)r; /* the caller's mask then stays: a narrower place to run, nothing worse */
	return 0;
}

static int take_cgroup(Launch *l, Err *e)
{
	int r = sync_receive_fds(l->sync[1], SYNC_CGROUP, l->cgroup_fds, CGROUP_JOIN_MAX, &l->n_cgroup_fds);
	if (r == -EPIPE) _exit(1); /* the command has told why */
	if (r < 0 || (r = cgroup_join_self(l->cgroup_fds, l->n_cgroup_fds)) < 0) return err_sys(e, r, "enter the container's cgroup");
	return 0;
}

/* Everything that makes the container what it is, short of the process itself. */
static int build_container(Launch *l, int *ret_root, Err *e)
{
	int r;
	if (l->unshare_new & CLONE_NEWNET && (r = netdev_lo_up(e)) < 0) return r;
	if ((r = join_keyring(l, e)) < 0) return r;
	if (l->late_cgroup && (r = take_cgroup(l, e)) < 0) return r;
	if (l->unshare_new & CLONE_NEWCGROUP && unshare(CLONE_NEWCGROUP) < 0) return err_sys(e, errno, "make a cgroup namespace");
	AUTO_FD int root = -1;
	if ((r = rootfs_build(l, &root, e)) < 0) return r;
	if ((r = set_names(l, e)) < 0) return r;
	if (l->host_work && (r = sync_ask(l->sync[1], SYNC_ASK_HOST, 0, NULL, -1)) < 0) _exit(1);
	pid_t pid = getpid(); /* as the container counts: in its namespaces the hook runs, too */
	if ((r = hooks_run("createContainer", &l->spec->hooks.create_container, l->container, STATUS_CREATING, pid, NULL, e)) < 0) return r;
	if ((r = set_sysctls(l, e)) < 0) return r;
	if ((r = rootfs_enter(l, root, e)) < 0) return r;
	if ((r = rootfs_seal(l, root, e)) < 0) return r;
	*ret_root = take_fd(root);
	return 0;
}

/* Waits for container_start. Others only ask whether somebody listens, and hang up. Returns the starter's connection. */
static int await_start(Launch *l)
{
	for (;;) {
		SyncMessage m;
		int sock = accept4(l->listen, NULL, NULL, SOCK_CLOEXEC);
		if (sock < 0) {
			if (errno == EINTR || errno == ECONNABORTED) continue;
			_exit(1);
		}
		if (sync_receive(sock, &m, NULL) == 1 && m.kind == SYNC_GO) return sock;
		fd_close(sock);
	}
}

/* The program starts with every signal at its default: handlers go with the execve, what a parent ignored would stay. (The kernel tells of
 * signals 1 to 31; nobody ignores the real-time ones for others.) */
static void reset_signals(uint32_t ignored)
{
	for (int i = 1; i < 32; i++)
		if (ignored & (1U << (i - 1))) signal(i, SIG_DFL);
}

static void unblock_signals(void)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void end_by_signal(int n)
{
	_exit(128 + n);
}

/* As pid 1, a created container would take no signal but SIGKILL: the usual ones end it, too. */
static void die_on_request(void)
{
	static const int request[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
	for (size_t i = 0; i < ARRAY_LEN(request); i++)
		signal(request[i], end_by_signal);
}

static int take_filter(Launch *l)
{
	SyncMessage head = { .kind = SYNC_FILTER };
	size_t max = BPF_MAXINSNS * sizeof(struct sock_filter);
	struct sock_filter *code = malloc(max); /* not the arena: mostly untouched; gone with the execve */
	ssize_t n = code ? sync_receive_data(l->sync[1], &head, code, max) : -ENOMEM;
	l->filter = (SeccompFilter){ .prog = { .filter = code }, .flags = (unsigned)head.value, .notify = head.errnum };
	if (n < 0) return (int)n;
	l->filter.prog.len = (unsigned short)((size_t)n / sizeof *code);
	l->has_filter = true;
	return 0;
}

static int wait_for_start(Launch *l, int root)
{
	SyncMessage m;
	if (l->late_filter && take_filter(l) < 0) return -EPIPE;
	if (sync_send(l->sync[1], SYNC_READY, 0, NULL, -1) < 0) return -EPIPE;
	debug(l, "init: closing the pipe to signal completion");
	if (sync_receive(l->sync[1], &m, NULL) != 1 || m.kind != SYNC_GO) return -EPIPE;
	/* everything is written down: from here on the command may go */
	if (!l->exec && prctl(PR_SET_PDEATHSIG, 0) < 0) return -errno;
	reset_signals((uint32_t)m.value);
	if (!l->wait_start) return 0;
	die_on_request();
	if (sync_send(l->sync[1], SYNC_READY, 1, NULL, -1) < 0) return -EPIPE;
	int keep[] = { l->listen, l->proc, root };
	/* while waiting, possibly for days, nothing of the host stays open but what the start needs */
	fd_close_all_but(3 + l->preserve_fds, keep, ARRAY_LEN(keep));
	l->sync[1] = await_start(l);
	l->listen = fd_close(l->listen);
	return 0;
}

static void run_program(Launch *l, int root, const char *path, char **env) NORETURN;
static void run_program(Launch *l, int root, const char *path, char **env)
{
	Err e = ERR_INIT;
	if (fd_cloexec_from(3 + l->preserve_fds) < 0) {
		err_sys(&e, errno, "close descriptors");
		init_fail(l->sync[1], &e);
	}
	if (identity_become(l, root, &e) < 0) init_fail(l->sync[1], &e);
	fd_close(root);
	const OciHookList *hooks = l->exec ? &(OciHookList){ 0 } : &l->spec->hooks.start_container;
	if (hooks_run("startContainer", hooks, l->container, STATUS_CREATED, 1, env, &e) < 0) init_fail(l->sync[1], &e);
	program_exec(l, path, env, &e);
	/* the container's own output is where its user looks for this */
	dprintf(2, "%s\n", e.msg);
	if (l->wait_start) init_fail(l->sync[1], &e);
	_exit(l->exec ? 255 : 1);
}

static int take_streams(const Launch *l, Err *e)
{
	for (int i = 0; l->stdio && i < 3; i++)
		if (dup2(l->stdio[i], i) < 0) return err_sys(e, errno, "take standard stream %d", i);
	return 0;
}

void init_main(Launch *l)
{
	Err e = ERR_INIT;
	int root = -1;
	const char *path = NULL;
	char **env = NULL;
	l->sync[0] = fd_close(l->sync[0]);
	if (l->container->dir >= 0) l->container->dir = fd_close(l->container->dir); /* with it the lock on the state directory */
	if (!l->exec && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) _exit(1);
	debug(l, "nsexec container setup");
	if (take_streams(l, &e) < 0 || enter_environment(l, &e) < 0) init_fail(l->sync[1], &e);
	debug(l, "child process in init()");
	if (reset_affinity(l, &e) < 0) init_fail(l->sync[1], &e);
	if (l->exec) {
		root = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (l->process->terminal && terminal_make(l, root, &e) < 0) init_fail(l->sync[1], &e);
	} else if (build_container(l, &root, &e) < 0) {
		err_wrap(&e, "error during container init");
		init_fail(l->sync[1], &e);
	}
	if (l->process && (identity_environment(l, root, &env, &e) < 0 || program_find(l, root, env, &path, &e) < 0))
		init_fail(l->sync[1], &e);
	/* for the execve to come; a profile that is not there is told before the container counts as created */
	if (l->process && lsm_set_exec_label(l->proc, l->process->apparmor_profile, l->process->selinux_label, &e) < 0)
		init_fail(l->sync[1], &e);
	if (l->process && l->wait_start && rlimit_reserve(&l->process->rlimits, &e) < 0) init_fail(l->sync[1], &e);
	unblock_signals();
	if (l->exec) debug(l, "setns_init: about to exec");
	if (wait_for_start(l, root) < 0) _exit(1);
	if (!l->process) _exit(0); /* nothing to run: the specification lets a container be without a process */
	run_program(l, root, path, env);
}
