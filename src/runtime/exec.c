/* exec.c: another process in a container. */
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/foreground.h"
#include "runtime/launch.h"
#include "sys/path.h"
#include "sys/proc.h"

/* The hierarchies as they are, but for those whose controllers the caller wants in a sub-cgroup. */
static int plan_cgroup(Launch *l, const StrMap *subs, Cgroup *ret, Err *e)
{
	const Cgroup *cg = &l->container->state.cgroup;
	*ret = *cg;
	if (!subs || !subs->n) return 0;
	ret->hierarchies.items = arena_array(l->arena, cg->hierarchies.n + 1, sizeof *cg->hierarchies.items);
	if (!ret->hierarchies.items) return err_sys(e, ENOMEM, "sub-cgroup");
	memcpy(ret->hierarchies.items, cg->hierarchies.items, cg->hierarchies.n * sizeof *cg->hierarchies.items);
	for (size_t i = 0; i < subs->n; i++) {
		const char *path = subs->items[i].value;
		Str names = str_of(subs->items[i].key), one;
		Str rest = str_of(path), part;
		while (str_next(&rest, '/', &part))
			if (str_eq(part, "..")) return err_set(e, ERR_USAGE, EINVAL, "bad sub cgroup path: %s", path);
		while (str_next(&names, ',', &one)) {
			bool found = false;
			for (size_t k = 0; k < ret->hierarchies.n; k++) {
				CgroupHierarchy *h = &ret->hierarchies.items[k];
				Str list = str_of(h->name), have;
				bool match = !one.n;
				while (!match && str_next(&list, ',', &have))
					match = have.n == one.n && memcmp(have.p, one.p, one.n) == 0;
				if (!match) continue;
				found = true;
				h->path = arena_printf(l->arena, "%s/%s", cg->hierarchies.items[k].path, path);
				if (!h->path) return err_sys(e, ENOMEM, "sub-cgroup");
			}
			if (!found) return err_set(e, ERR_USAGE, EINVAL, "unknown controller %.*s", (int)one.n, one.p);
		}
	}
	return 0;
}

static int open_cgroup(Launch *l, const Cgroup *cg, Err *e)
{
	int r = cgroup_open_join(cg, false, l->cgroup_fds, &l->n_cgroup_fds, e);
	if (r < 0) {
		char why[ERR_MESSAGE_MAX];
		memcpy(why, e->msg, sizeof why);
		return err_set(e, e->code, e->errnum, "error adding pid %d to cgroups: %s", getpid(), why);
	}
	l->cgroup_v2 = cgroup_open_v2(cg);
	if (l->cgroup_v2 == -ENOENT) l->cgroup_v2 = -1;
	return l->cgroup_v2 < -1 ? err_sys(e, l->cgroup_v2, "open the container's cgroup") : 0;
}

static int check_status(Container *c, const ExecOptions *o, Err *e)
{
	switch (container_status(c)) {
	case STATUS_STOPPED:
	case STATUS_CREATING:
		return err_set(e, ERR_STATE, EINVAL, "cannot exec in a stopped container");
	case STATUS_PAUSED:
		return o->ignore_paused
			       ? 0
			       : err_set(e, ERR_STATE, EINVAL, "cannot exec in a paused container (use --ignore-paused to override)");
	default:
		return 0;
	}
}

static int check_terminal(const Container *c, const ExecOptions *o, Err *e)
{
	if (o->process->terminal && o->detach && !o->console_socket)
		return err_set(e, ERR_USAGE, EINVAL, "cannot allocate tty if %s will detach without setting console socket", c->rt->name);
	if (o->console_socket && !(o->process->terminal && o->detach))
		return err_set(e, ERR_USAGE, EINVAL, "cannot use console socket if %s will not detach or allocate tty", c->rt->name);
	return 0;
}

static int plan_exec(Container *c, Launch *l, OciSpec *spec, const ExecOptions *o, Err *e)
{
	Cgroup cg;
	int r;
	if (o->spec)
		*spec = *o->spec;
	else if ((r = container_spec(c, spec, e)) < 0)
		return r;
	l->spec = spec;
	if ((r = launch_set_process(l, o->process, e)) < 0) return r;
	l->exec = true;
	l->detach = o->detach;
	l->stdio = o->stdio;
	if ((r = launch_preserve(l, o->preserve_fds, e)) < 0) return r;
	l->pid_file = o->pid_file;
	l->pidfd_socket = o->pidfd_socket;
	AUTO_FD int pidfd = container_pidfd(c);
	if (pidfd < 0) return err_set(e, ERR_STATE, ESRCH, "cannot exec in a stopped container");
	l->late_filter = spec->lnx->seccomp;
	if ((r = plan_cgroup(l, o->sub_cgroups, &cg, e)) < 0) return r;
	if ((r = open_cgroup(l, &cg, e)) < 0) return r;
	if ((r = launch_plan_exec_namespaces(l, pidfd, e)) < 0) return r;
	if ((r = launch_connect(l, o->console_socket, e)) < 0) return r;
	return launch_open_host(l, e);
}

/* Inherited by the process; its own comes when it is in the container. */
static int set_initial_affinity(const Runtime *rt, const char *list, Err *e)
{
	SchedBits bits;
	int r = sched_list_parse(list, "process.execCPUAffinity.initial", &bits, e);
	if (r < 0 || (r = cpu_affinity_set(list, e)) < 0) return r;
	log_write(rt->log, LOG_DEBUG, "nsexec[%d]: affinity: 0x%lx", getpid(), bits.word[0]);
	return 0;
}

static int exec_go(Container *c, Launch *l, OciSpec *spec, const ExecOptions *o, Err *e)
{
	int r;
	if ((r = check_status(c, o, e)) < 0 || (r = check_terminal(c, o, e)) < 0) return r;
	if ((r = plan_exec(c, l, spec, o, e)) < 0) return r;
	const CpuAffinity *a = o->process->exec_cpu_affinity;
	if (a && a->initial && *a->initial && (r = set_initial_affinity(c->rt, a->initial, e)) < 0) return r;
	if ((r = launch_go(l, e)) < 0) {
		launch_kill(l);
		return err_wrap(e, "exec failed: unable to start container process");
	}
	return 0;
}

int container_exec(Container *c, const ExecOptions *o, Err *e)
{
	OciSpec spec;
	AUTO(launch_done) Launch l;
	launch_init(&l, c->rt, c->arena, c);
	int status = 0, r = exec_go(c, &l, &spec, o, e);
	if (r < 0 || o->detach) return r;
	r = foreground_attend(&l, &status, e);
	return r < 0 ? r : status;
}

int container_exec_spawn(Container *c, const ExecOptions *o, ContainerProcess *ret, Err *e)
{
	OciSpec spec;
	AUTO(launch_done) Launch l;
	launch_init(&l, c->rt, c->arena, c);
	l.spawned = true;
	int r = exec_go(c, &l, &spec, o, e);
	if (r < 0) return r;
	*ret = (ContainerProcess){ .pid = l.pid, .pidfd = take_fd(l.pidfd), .pty = take_fd(l.pty) };
	return 0;
}
