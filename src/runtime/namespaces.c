/* namespaces.c: which namespaces a launch makes and enters, and the clone itself. */
#include <fcntl.h>
#include <linux/nsfs.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/launch.h"
#include "sys/path.h"
#include "sys/proc.h"

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

static int open_namespace(const OciNamespace *ns, Err *e)
{
	const char *name = bind_name(oci_namespace_names, ns->type);
	AUTO_FD int fd = openat(AT_FDCWD, ns->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) return err_sys(e, errno, "join %s namespace: open %s", name, ns->path);
	int type = ioctl(fd, NS_GET_NSTYPE);
	if (type < 0) return err_set(e, ERR_CONFIG, EINVAL, "join %s namespace: %s is not a namespace", name, ns->path);
	if (type != ns->type)
		return err_set(e, ERR_CONFIG, EINVAL, "join %s namespace: %s is a namespace of type %s", name, ns->path,
			       bind_name(oci_namespace_names, type));
	return take_fd(fd);
}

static void plan_new(Launch *l, int type)
{
	switch (type) {
	case CLONE_NEWUSER:
		l->new_user = true;
		return;
	case CLONE_NEWTIME:
		l->staged = true; /* its offsets are written before anybody is in it */
		return;
	case CLONE_NEWCGROUP: /* after the cgroup is joined */
	case CLONE_NEWNET:    /* by the child, while the command does its own work */
		l->unshare_new |= type;
		return;
	default:
		l->clone_new |= type;
	}
}

static int given_namespace(const Launch *l, int type)
{
	return type == CLONE_NEWNET ? l->netns : type == CLONE_NEWUSER ? l->userns : 0;
}

int launch_plan_namespaces(Launch *l, Err *e)
{
	for (size_t i = 0; i < l->spec->lnx->namespaces.n; i++) {
		const OciNamespace *ns = &l->spec->lnx->namespaces.items[i];
		const bool own = !ns->path || !*ns->path;
		const int given = own ? given_namespace(l, ns->type) : 0;
		if (own && !given) {
			plan_new(l, ns->type);
			continue;
		}
		int fd = given ? fcntl(given, F_DUPFD_CLOEXEC, 3) : open_namespace(ns, e);
		if (fd < 0) return given ? err_sys(e, errno, "join a namespace") : fd;
		l->joins[l->n_joins++] = (LaunchJoin){ .type = ns->type, .fd = fd };
		if (ns->type & (CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWTIME)) l->staged = true;
	}
	if (l->new_user && l->n_joins) l->staged = true; /* they are joined with the rights of the outer one */
	if (l->new_user && !l->staged) l->clone_new |= CLONE_NEWUSER;
	return 0;
}

int launch_plan_exec_namespaces(Launch *l, int pidfd, Err *e)
{
	int types = 0;
	for (size_t i = 0; i < l->spec->lnx->namespaces.n; i++)
		types |= l->spec->lnx->namespaces.items[i].type;
	int keep = fcntl(pidfd, F_DUPFD_CLOEXEC, 3);
	if (keep < 0) return err_sys(e, errno, "exec");
	l->staged = types & (CLONE_NEWPID | CLONE_NEWUSER | CLONE_NEWTIME);
	l->joins[l->n_joins++] = (LaunchJoin){ .type = types, .fd = keep };
	return 0;
}

static pid_t clone_child(uint64_t flags, int cgroup, int *ret_pidfd)
{
	int pidfd = -1;
	/* with CLONE_PARENT the kernel takes the exit signal of the caller, and refuses to be told one */
	struct clone_args args = { .flags = flags, .exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD };
	if (ret_pidfd) {
		args.flags |= CLONE_PIDFD;
		args.pidfd = (uint64_t)(uintptr_t)&pidfd;
	}
	if (cgroup >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup;
	}
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
	if (pid > 0 && ret_pidfd) *ret_pidfd = pidfd;
	return pid < 0 ? -errno : pid;
}

/* Into the container's cgroup. One whose controllers serve groups below it takes no process itself: an exec then goes where the
 * container's init is. */
static pid_t clone_inside(const Launch *l, uint64_t flags, int *ret_pidfd)
{
	pid_t pid = clone_child(flags, l->cgroup_v2, ret_pidfd);
	if (pid != -EBUSY || l->cgroup_v2 < 0) return pid;
	const ContainerState *s = &l->container->state;
	AUTO_FD int beside = l->exec ? cgroup_open_v2_of(&s->cgroup, (pid_t)s->pid) : -1;
	return clone_child(flags, beside, ret_pidfd);
}

static pid_t clone_init(Launch *l, uint64_t extra, int *ret_pidfd)
{
	pid_t pid = clone_inside(l, (uint64_t)l->clone_new | extra, ret_pidfd);
	if (pid == 0) init_main(l);
	return pid;
}

static int write_time_offsets(const Launch *l, Err *e)
{
	AUTO_BUF text = BUF_INIT(4096);
	for (size_t i = 0; i < l->spec->lnx->time_offsets.n; i++) {
		const OciTimeOffset *o = &l->spec->lnx->time_offsets.items[i];
		buf_printf(&text, "%s %lld %u\n", o->clock, (long long)o->secs, o->nanosecs);
	}
	if (!text.n) return 0;
	int r = fd_write_file(l->proc, "self/timens_offsets", buf_str(&text));
	return r < 0 ? err_sys(e, r, "write linux.timeOffsets") : 0;
}

/* The stage joins what must be joined before the init is cloned. Namespaces that the outer user namespace owns can only be entered
 * before the inner one is; the rest only after: each is tried first, and what fails is left to the init. */
static int stage_join(Launch *l, Err *e)
{
	int all = 0;
	for (size_t i = 0; i < l->n_joins; i++)
		all |= l->joins[i].type;
	if (l->exec) {
		if (setns(l->joins[0].fd, all) < 0) return err_sys(e, errno, "join the container's namespaces");
		l->joins[0].fd = fd_close(l->joins[0].fd);
		l->n_joins = 0;
		return 0;
	}
	for (int pass = l->new_user ? 2 : 0; pass < 3; pass++) {
		for (size_t i = 0; i < l->n_joins; i++) {
			LaunchJoin *j = &l->joins[i];
			bool user = j->type == CLONE_NEWUSER;
			if (j->fd < 0 || j->type == CLONE_NEWNS || user != (pass == 1)) continue;
			if (setns(j->fd, j->type) < 0) {
				if (pass == 0 && all & CLONE_NEWUSER) continue;
				return err_sys(e, errno, "join %s namespace", bind_name(oci_namespace_names, j->type));
			}
			j->fd = fd_close(j->fd);
		}
	}
	return 0;
}

/* What the outer user namespace owns is joined before the new one is made, in which nobody has a right to that. */
static int stage_leave(Launch *l, Err *e)
{
	for (size_t i = 0; i < l->n_joins; i++) {
		LaunchJoin *j = &l->joins[i];
		if (j->type != CLONE_NEWNS && setns(j->fd, j->type) == 0) j->fd = fd_close(j->fd);
	}
	return unshare(CLONE_NEWUSER) < 0 ? err_sys(e, errno, "make a user namespace") : 0;
}

/* Before a namespace of others is entered: from then on they may see this process, and must not look into it (CVE-2016-9962). While
 * its id maps are still to be written it must stay as it is: in /proc it would belong to root alone. */
int namespaces_hide(const Launch *l, Err *e)
{
	if (!l->n_joins || l->new_user) return 0;
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? err_sys(e, errno, "prctl") : 0;
}

static void stage_main(Launch *l) NORETURN;
static void stage_main(Launch *l)
{
	Err e = ERR_INIT;
	int r = namespaces_hide(l, &e);
	if (r < 0) init_fail(l->sync[1], &e);
	if (l->new_user && l->n_joins && (r = stage_leave(l, &e)) < 0) init_fail(l->sync[1], &e);
	if (l->new_user && sync_ask(l->sync[1], SYNC_ASK_MAPS, 1, NULL, -1) < 0) _exit(1);
	if ((r = stage_join(l, &e)) < 0) init_fail(l->sync[1], &e);
	if (!l->exec && oci_is_new(l->spec, CLONE_NEWTIME)) {
		if (unshare(CLONE_NEWTIME) < 0) {
			err_sys(&e, errno, "make a time namespace");
			init_fail(l->sync[1], &e);
		}
		if ((r = write_time_offsets(l, &e)) < 0) init_fail(l->sync[1], &e);
	}
	pid_t pid = clone_init(l, CLONE_PARENT, NULL);
	if (pid < 0) {
		err_sys(&e, (int)pid, "clone the container's init");
		init_fail(l->sync[1], &e);
	}
	r = sync_send(l->sync[1], SYNC_PID, pid, NULL, -1);
	_exit(r < 0);
}

int launch_clone(Launch *l, pid_t *ret_pid, int *ret_pidfd, Err *e)
{
	pid_t pid;
	if (!l->staged) {
		pid = clone_init(l, 0, ret_pidfd);
		if (pid < 0) return err_sys(e, (int)pid, "clone the container's init");
		*ret_pid = pid;
		return 0;
	}
	/* The stage enters the cgroup and the init is born in it: once the container's cgroup namespace is joined the kernel lets nobody in
	 * from outside of it (ENOENT, with the mount option nsdelegate). */
	pid = clone_inside(l, l->new_user && !l->n_joins ? CLONE_NEWUSER : 0, NULL);
	if (pid < 0) return err_sys(e, (int)pid, "clone a stage for the container's init");
	if (pid == 0) {
		l->cgroup_v2 = fd_close(l->cgroup_v2);
		stage_main(l);
	}
	*ret_pid = pid;
	*ret_pidfd = -1;
	return 0;
}

int namespaces_enter(Launch *l, Err *e)
{
	for (size_t i = 0; i < l->n_joins; i++) {
		LaunchJoin *j = &l->joins[i];
		if (j->fd < 0) continue;
		if (setns(j->fd, j->type) < 0) {
			const char *name = bind_name(oci_namespace_names, j->type);
			return err_sys(e, errno, "join %s namespace", name ? name : "the container's");
		}
		j->fd = fd_close(j->fd);
	}
	if (l->unshare_new & CLONE_NEWNET && unshare(CLONE_NEWNET) < 0) return err_sys(e, errno, "make a network namespace");
	return 0;
}
