/* identity.c: who the container's program is: user, groups, capabilities, limits, labels, filter; and its environment. */
#include <fcntl.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "oci/passwd.h"
#include "runtime/launch.h"
#include "sys/cap.h"
#include "sys/path.h"

/* ---- environment ---- */

static bool same_name(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");
	return n == strcspn(b, "=") && memcmp(a, b, n) == 0;
}

int identity_environment(Launch *l, int root, char ***ret, Err *e)
{
	const StrList *env = &l->process->env;
	const char **out = arena_array(l->arena, env->n + 2, sizeof *out);
	if (!out) return err_sys(e, ENOMEM, "process.env");
	size_t n = 0, home = SIZE_MAX;
	for (size_t i = 0; i < env->n; i++) {
		size_t k = 0;
		while (k < n && !same_name(out[k], env->items[i]))
			k++;
		out[k] = env->items[i];
		if (k == n) n++;
		if (same_name(out[k], "HOME=")) home = k;
	}
	if (home == SIZE_MAX || streq(out[home], "HOME=")) {
		const char *dir = passwd_home(root, l->process->user.uid, l->arena);
		char *entry = arena_printf(l->arena, "HOME=%s", dir ? dir : "/");
		if (!entry) return err_sys(e, ENOMEM, "process.env");
		out[home == SIZE_MAX ? n++ : home] = entry;
	}
	out[n] = NULL;
	*ret = (char **)(uintptr_t)out;
	return 0;
}

/* ---- user and capabilities ---- */

typedef struct CapPlan {
	CapSets sets;
	uint64_t bounding, ambient;
} CapPlan;

static void warn_unknown(void *data, const char *name)
{
	const Launch *l = data;
	char text[128];
	snprintf(text, sizeof text, "ignoring unknown or unavailable capability %.64s", name);
	int r = sync_send(l->sync[1], SYNC_LOG, LOG_WARN, text, -1);
	(void)r; /* nobody left to warn */
}

static CapPlan plan_caps(const Launch *l)
{
	const Capabilities *c = l->process->capabilities;
	CapPlan p = { 0 };
	if (!c) { /* absent: what the runtime has stays, as far as the user keeps it */
		p.bounding = ~UINT64_C(0);
		p.sets.permitted = p.sets.effective = cap_get_permitted();
		return p;
	}
	p.bounding = cap_parse_list(&c->bounding, warn_unknown, (void *)(uintptr_t)l);
	p.sets.effective = cap_parse_list(&c->effective, NULL, NULL);
	p.sets.permitted = cap_parse_list(&c->permitted, NULL, NULL);
	p.sets.inheritable = cap_parse_list(&c->inheritable, NULL, NULL);
	p.ambient = cap_parse_list(&c->ambient, NULL, NULL);
	return p;
}

/* By the kernel's calls: the C library's are for all threads of the process, and take four calls each. This process has one. */
static int set_groups(const Launch *l, Err *e)
{
	const U32List *g = &l->process->user.additional_gids;
	if (syscall(SYS_setgroups, g->n, g->items) == 0) return 0;
	/* a user namespace without privileges may not change its groups: without any asked for that is the best there is */
	if (errno == EPERM && !g->n) return 0;
	return err_sys(e, errno, "set process.user.additionalGids");
}

/* A pipe can be opened again, as /dev/stdout, by its owner alone. One that is not ours to give stays as it is. */
static void give_streams(const OciUser *u)
{
	struct stat st;
	for (int i = 0; i < 3 && u->uid; i++)
		if (fstat(i, &st) == 0 && S_ISFIFO(st.st_mode) && st.st_uid != u->uid) (void)!fchown(i, u->uid, (gid_t)-1);
}

static int set_user(const Launch *l, Err *e)
{
	const OciUser *u = &l->process->user;
	give_streams(u);
	if (syscall(SYS_setresgid, u->gid, u->gid, u->gid) < 0) return err_sys(e, errno, "set process.user.gid to %u", u->gid);
	if (syscall(SYS_setresuid, u->uid, u->uid, u->uid) < 0) return err_sys(e, errno, "set process.user.uid to %u", u->uid);
	return 0;
}

/* What cannot be granted because the runtime lacks it is left out for root, as others do; the program sees its real sets. */
static int set_caps(const Launch *l, const CapPlan *p, Err *e)
{
	uint64_t have = cap_get_permitted();
	CapSets s = { .effective = p->sets.effective & have, .permitted = p->sets.permitted & have, .inheritable = p->sets.inheritable };
	s.inheritable &= have | p->bounding;
	s.effective &= s.permitted;
	int r = cap_set(&s);
	if (r == -EPERM) {
		s.inheritable &= have;
		r = cap_set(&s);
	}
	if (r < 0) return err_sys(e, r, "set process.capabilities");
	uint64_t can = p->ambient & s.permitted & s.inheritable;
	for (int i = 0; i < 64; i++) {
		if (!((p->ambient & ~can) & CAP_BIT(i))) continue;
		char text[128];
		snprintf(text, sizeof text, "can't raise ambient capability %s: operation not permitted", cap_name(i));
		r = sync_send(l->sync[1], SYNC_LOG, LOG_WARN, text, -1);
		(void)r;
	}
	r = cap_set_ambient(can);
	return r < 0 ? err_sys(e, r, "set process.capabilities.ambient") : 0;
}

static int install_filter(Launch *l, Err *e)
{
	if (!l->has_filter) return 0;
	int fd = seccomp_install(&l->filter, e);
	if (fd < 0) return fd;
	if (!l->filter.notify) return 0;
	AUTO_FD int listener = fd;
	int r = sync_ask(l->sync[1], SYNC_SECCOMP, 0, NULL, listener);
	return r < 0 ? err_sys(e, r, "hand the seccomp listener to the agent") : 0;
}

static int set_attributes(const Launch *l, Err *e)
{
	const OciProcess *p = l->process;
	int r;
	if (p->scheduler && (r = sched_apply(p->scheduler, e)) < 0) {
		const CgroupCpu *cpu = &l->spec->lnx->resources->cpu;
		if (r == -EPERM && p->scheduler->policy == SCHED_DEADLINE && cpu->cpus && *cpu->cpus)
			return err_set(e, ERR_CONFIG, EPERM, "process scheduler can't be used together with AllowedCPUs");
		return r;
	}
	if (p->io_priority && (r = ioprio_apply(p->io_priority, e)) < 0) return r;
	if (l->spec->lnx->memory_policy && (r = memory_policy_apply(l->spec->lnx->memory_policy, e)) < 0) return r;
	if (l->spec->lnx->personality && (r = personality_apply(l->spec->lnx->personality, e)) < 0) return r;
	return rlimit_apply(0, &p->rlimits, e);
}

/* Enters process.cwd; false when that must be tried again as the user. */
static int enter_cwd(const Launch *l, int root, bool last, Err *e)
{
	char at[4096];
	AUTO_FD int fd = path_open(root, l->process->cwd, O_PATH | O_DIRECTORY, 0);
	if (fd >= 0 && fchdir(fd) == 0) {
		/* "(unreachable)…": the directory is not below this root */
		if (syscall(SYS_getcwd, at, sizeof at) < 0 || at[0] != '/')
			return err_set(e, ERR_SECURITY, EPERM,
				       "process.cwd %s: current working directory is outside of container mount namespace root",
				       l->process->cwd);
		return 1;
	}
	if (!last) return 0;
	return err_sys(e, fd < 0 ? fd : errno, "chdir to cwd (\"%s\") set in config.json failed", l->process->cwd);
}

static int set_oom_score(const Launch *l, Err *e)
{
	const OptInt *score = &l->process->oom_score_adj;
	char text[16];
	if (!score->set || launch_sets_oom_score(l)) return 0;
	snprintf(text, sizeof text, "%d", (int)score->v);
	int r = fd_write_file(l->proc, "self/oom_score_adj", text);
	return r < 0 && !l->rt->rootless ? err_sys(e, r, "set process.oomScoreAdj") : 0;
}

/* Groups and user, with the capabilities that go with them. */
static int switch_user(Launch *l, const CapPlan *caps, Err *e)
{
	int r = cap_drop_bounding(caps->bounding);
	if (r < 0 && !(r == -EPERM && l->rt->rootless)) return err_sys(e, r, "drop capabilities from the bounding set");
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0) return err_sys(e, errno, "keep capabilities");
	if ((r = set_groups(l, e)) < 0 || (r = set_user(l, e)) < 0) return r;
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0) return err_sys(e, errno, "keep capabilities");
	if (l->process->user.umask.set) umask((mode_t)l->process->user.umask.v);
	return l->process->capabilities ? set_caps(l, caps, e) : 0;
}

int identity_become(Launch *l, int root, Err *e)
{
	const OciProcess *p = l->process;
	CapPlan caps = plan_caps(l);
	int r, in_cwd;
	if ((r = set_attributes(l, e)) < 0 || (r = set_oom_score(l, e)) < 0) return r;
	if (p->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return err_sys(e, errno, "set process.noNewPrivileges");
	if ((in_cwd = enter_cwd(l, root, false, e)) < 0) return in_cwd;
	/* without no_new_privs the filter needs CAP_SYS_ADMIN: now; otherwise as late as can be */
	if (!p->no_new_privileges && (r = install_filter(l, e)) < 0) return r;
	if ((r = switch_user(l, &caps, e)) < 0) return r;
	if (!in_cwd && (in_cwd = enter_cwd(l, root, true, e)) < 0) return in_cwd;
	return p->no_new_privileges ? install_filter(l, e) : 0;
}
