/* seccomp.c: see seccomp.h. Names of the specification, the checks that concern no single rule, and seccomp(2). */
#include "sys/seccomp.h"

#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/seccomp_plan.h"

enum { SCRATCH_MAX = 16 << 20 };

const BindName seccomp_action_names[] = {
	{ "SCMP_ACT_ALLOW", SECCOMP_ALLOW },
	{ "SCMP_ACT_ERRNO", SECCOMP_ERRNO },
	{ "SCMP_ACT_KILL_PROCESS", SECCOMP_KILL_PROCESS },
	{ "SCMP_ACT_KILL_THREAD", SECCOMP_KILL_THREAD },
	{ "SCMP_ACT_KILL", SECCOMP_KILL_THREAD },
	{ "SCMP_ACT_LOG", SECCOMP_LOG },
	{ "SCMP_ACT_NOTIFY", SECCOMP_NOTIFY },
	{ "SCMP_ACT_TRACE", SECCOMP_TRACE },
	{ "SCMP_ACT_TRAP", SECCOMP_TRAP },
	{ 0 },
};

const BindName seccomp_op_names[] = {
	{ "SCMP_CMP_EQ", SECCOMP_EQ }, { "SCMP_CMP_GE", SECCOMP_GE },
	{ "SCMP_CMP_GT", SECCOMP_GT }, { "SCMP_CMP_LE", SECCOMP_LE },
	{ "SCMP_CMP_LT", SECCOMP_LT }, { "SCMP_CMP_MASKED_EQ", SECCOMP_MASKED_EQ },
	{ "SCMP_CMP_NE", SECCOMP_NE }, { 0 },
};

const BindName seccomp_flag_names[] = {
	{ "SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC },
	{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
	{ "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG },
	{ "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV },
	{ 0 },
};

static bool rule_names(const SeccompRule *rule, const char *name)
{
	for (size_t i = 0; i < rule->names.n; i++)
		if (streq(rule->names.items[i], name)) return true;
	return false;
}

/* check_notify: whether some rule asks for a listener, and that it can have one. */
static int check_notify(const SeccompProfile *p, bool *notify, Err *e)
{
	*notify = false;
	if (p->default_action == SECCOMP_NOTIFY)
		return err_set(e, ERR_CONFIG, EINVAL, "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be used as default action");
	for (size_t i = 0; i < p->syscalls.n; i++) {
		if (p->syscalls.items[i].action != SECCOMP_NOTIFY) continue;
		*notify = true;
		if (rule_names(&p->syscalls.items[i], "write")) /* the descriptor is reported by write(2), under the filter already */
			return err_set(e, ERR_CONFIG, EINVAL,
				       "linux.seccomp.syscalls[%zu]: SCMP_ACT_NOTIFY cannot be used for the write syscall", i);
	}
	if (*notify && (!p->listener_path || !*p->listener_path))
		return err_set(e, ERR_CONFIG, EINVAL, "linux.seccomp.listenerPath: required for SCMP_ACT_NOTIFY");
	return 0;
}

/* flags_of: absent flags are SPEC_ALLOW. TSYNC is accepted and has no effect, as with runc: a container's init has one
 * thread, and the flag's errors would come where NEW_LISTENER's descriptor does. */
static int flags_of(const SeccompProfile *p, bool notify, unsigned *ret, Err *e)
{
	unsigned flags = 0;
	if (!p->flags.items)
		flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW;
	else
		for (size_t i = 0; i < p->flags.n; i++)
			flags |= (unsigned)p->flags.items[i];
	flags &= ~(unsigned)SECCOMP_FILTER_FLAG_TSYNC;
	if (notify) flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
	if (flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV && !notify)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "linux.seccomp.flags: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs a rule with SCMP_ACT_NOTIFY");
	*ret = flags;
	return 0;
}

int seccomp_compile(const SeccompProfile *p, Arena *a, SeccompFilter *ret, Err *e)
{
	SeccompFilter f = { 0 };
	int r = check_notify(p, &f.notify, e);
	if (r == 0) r = flags_of(p, f.notify, &f.flags, e);
	if (r < 0) return r;
	AUTO_ARENA scratch = ARENA_INIT(SCRATCH_MAX);
	SeccompPlan *plan = arena_alloc(&scratch, sizeof *plan);
	if (!plan) return err_set(e, ERR_RESOURCE, ENOMEM, "linux.seccomp: out of memory");
	r = seccomp_plan(p, &scratch, plan, e);
	if (r < 0) return r;
	r = seccomp_emit(plan, &scratch, a, &f.prog);
	if (r == -E2BIG)
		return err_set(e, ERR_CONFIG, E2BIG, "linux.seccomp: the filter exceeds the kernel's limit of %d instructions",
			       BPF_MAXINSNS);
	if (r < 0) return err_set(e, ERR_RESOURCE, -r, "linux.seccomp: out of memory");
	*ret = f;
	return 0;
}

int seccomp_install(const SeccompFilter *f, Err *e)
{
	long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, f->flags, &f->prog);
	if (r >= 0) return (int)r;
	int errnum = errno;
	if (errnum == EACCES) return err_sys(e, errnum, "load the seccomp filter: no_new_privs or CAP_SYS_ADMIN is needed");
	if (errnum == EBUSY) return err_sys(e, errnum, "load the seccomp filter: another filter already has a listener");
	return err_sys(e, errnum, "load the seccomp filter (flags %u, %u instructions)", f->flags, (unsigned)f->prog.len);
}

unsigned seccomp_flags_supported(void)
{
	static const unsigned probes[] = {
		SECCOMP_FILTER_FLAG_TSYNC,
		SECCOMP_FILTER_FLAG_LOG,
		SECCOMP_FILTER_FLAG_SPEC_ALLOW,
		SECCOMP_FILTER_FLAG_NEW_LISTENER,
		SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
	};
	unsigned known = 0;
	for (size_t i = 0; i < ARRAY_LEN(probes); i++) /* flags are checked before the program is read: EFAULT is "yes" */
		if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, probes[i], NULL) < 0 && errno == EFAULT) known |= probes[i];
	return known;
}
