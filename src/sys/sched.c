/* sched.c: see sched.h. */
#include "sys/sched.h"

#include <inttypes.h>
#include <linux/ioprio.h>
#include <linux/mempolicy.h>
#include <linux/sched.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- CPU scheduler ---- */

const BindName sched_policy_names[] = {
	{ "SCHED_OTHER", SCHED_NORMAL },
	{ "SCHED_FIFO", SCHED_FIFO },
	{ "SCHED_RR", SCHED_RR },
	{ "SCHED_BATCH", SCHED_BATCH },
	{ "SCHED_ISO", 4 }, /* reserved by the kernel, never implemented */
	{ "SCHED_IDLE", SCHED_IDLE },
	{ "SCHED_DEADLINE", SCHED_DEADLINE },
	{ 0 },
};

const BindName sched_flag_names[] = {
	{ "SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK },   { "SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM },
	{ "SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN },         { "SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY },
	{ "SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS },       { "SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN },
	{ "SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX }, { 0 },
};

BIND_TABLE(sched_table, "scheduler", Scheduler,
	   { .name = "policy",
	     .kind = BIND_ENUM,
	     .offset = offsetof(Scheduler, policy),
	     .flags = BIND_REQUIRED | BIND_ALWAYS,
	     .sub = sched_policy_names },
	   { .name = "nice", .kind = BIND_I32, .offset = offsetof(Scheduler, nice) },
	   { .name = "priority", .kind = BIND_I32, .offset = offsetof(Scheduler, priority) },
	   { .name = "flags", .kind = BIND_ENUMS, .offset = offsetof(Scheduler, flags), .sub = sched_flag_names },
	   { .name = "runtime", .kind = BIND_U64, .offset = offsetof(Scheduler, runtime) },
	   { .name = "deadline", .kind = BIND_U64, .offset = offsetof(Scheduler, deadline) },
	   { .name = "period", .kind = BIND_U64, .offset = offsetof(Scheduler, period) });

/* The C library's struct of that name came in 2.41 and the kernel's header then clashes with it. */
typedef struct SchedAttr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
} SchedAttr;

static int sched_check_deadline(const Scheduler *s, Err *e)
{
	if (s->policy != SCHED_DEADLINE) {
		if (!s->runtime && !s->deadline && !s->period) return 0;
		return err_set(e, ERR_CONFIG, EINVAL,
			       "scheduler runtime/deadline/period can only be specified for SchedDeadline policy, not for %s",
			       bind_name(sched_policy_names, s->policy));
	}
	uint64_t period = s->period ? s->period : s->deadline; /* as the kernel does */
	if (s->runtime >= 1024 && s->runtime <= s->deadline && s->deadline <= period && period <= INT64_MAX) return 0;
	return err_set(e, ERR_CONFIG, EINVAL,
		       "invalid scheduler: SCHED_DEADLINE needs 1024 <= runtime <= deadline <= period, got %" PRIu64 ", %" PRIu64
		       ", %" PRIu64,
		       s->runtime, s->deadline, s->period);
}

int sched_check(const Scheduler *s, Err *e)
{
	const char *policy = bind_name(sched_policy_names, s->policy);
	if (!policy) return err_set(e, ERR_CONFIG, EINVAL, "invalid scheduler.policy: %d", s->policy);
	if ((s->policy == SCHED_NORMAL || s->policy == SCHED_BATCH) && (s->nice < -20 || s->nice > 19))
		return err_set(e, ERR_CONFIG, EINVAL, "invalid scheduler.nice: %d when scheduler.policy is %s (-20 to 19)", s->nice,
			       policy);
	if (s->policy == SCHED_FIFO || s->policy == SCHED_RR) {
		if (s->priority < 1 || s->priority > 99)
			return err_set(e, ERR_CONFIG, EINVAL, "invalid scheduler.priority: %d when scheduler.policy is %s (1 to 99)",
				       s->priority, policy);
	} else if (s->priority) {
		return err_set(e, ERR_CONFIG, EINVAL,
			       "scheduler.priority can only be specified for SchedFIFO or SchedRR policy, not for %s", policy);
	}
	return sched_check_deadline(s, e);
}

int sched_apply(const Scheduler *s, Err *e)
{
	SchedAttr a = {
		.size = sizeof a,
		.policy = (uint32_t)s->policy,
		.nice = s->nice,
		.priority = (uint32_t)s->priority,
		.runtime = s->runtime,
		.deadline = s->deadline,
		.period = s->period,
	};
	for (size_t i = 0; i < s->flags.n; i++)
		a.flags |= (uint64_t)s->flags.items[i];
	if (syscall(SYS_sched_setattr, 0, &a, 0) < 0)
		return err_sys(e, errno, "error setting scheduler %s", bind_name(sched_policy_names, s->policy));
	return 0;
}

/* ---- I/O priority ---- */

const BindName ioprio_class_names[] = {
	{ "IOPRIO_CLASS_RT", IOPRIO_CLASS_RT },
	{ "IOPRIO_CLASS_BE", IOPRIO_CLASS_BE },
	{ "IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE },
	{ 0 },
};

BIND_TABLE(ioprio_table, "ioPriority", IoPriority,
	   { .name = "class",
	     .kind = BIND_ENUM,
	     .offset = offsetof(IoPriority, klass),
	     .flags = BIND_REQUIRED | BIND_ALWAYS,
	     .sub = ioprio_class_names },
	   { .name = "priority", .kind = BIND_I32, .offset = offsetof(IoPriority, priority), .flags = BIND_ALWAYS });

int ioprio_check(const IoPriority *p, Err *e)
{
	if (!bind_name(ioprio_class_names, p->klass)) return err_set(e, ERR_CONFIG, EINVAL, "invalid ioPriority.Class: %d", p->klass);
	if (p->priority < 0 || p->priority > 7)
		return err_set(e, ERR_CONFIG, EINVAL, "invalid ioPriority.Priority: %d (0 to 7)", p->priority);
	return 0;
}

int ioprio_apply(const IoPriority *p, Err *e)
{
	int value = p->klass << IOPRIO_CLASS_SHIFT | p->priority;
	if (syscall(SYS_ioprio_set, IOPRIO_WHO_PGRP, 0, value) < 0)
		return err_sys(e, errno, "failed to set io priority %s, %d", bind_name(ioprio_class_names, p->klass), p->priority);
	return 0;
}

/* ---- CPU and node lists ---- */

BIND_TABLE(cpu_affinity_table, "execCPUAffinity", CpuAffinity,
	   { .name = "initial", .kind = BIND_STRING, .offset = offsetof(CpuAffinity, initial) },
	   { .name = "final", .kind = BIND_STRING, .offset = offsetof(CpuAffinity, final) });

static void bits_set(SchedBits *b, unsigned i)
{
	enum { WORD = 8 * sizeof b->word[0] };
	unsigned long bit = 1UL << i % WORD;
	if (b->word[i / WORD] & bit) return;
	b->word[i / WORD] |= bit;
	b->n++;
	if (i >= b->end) b->end = i + 1;
}

int sched_list_parse(const char *list, const char *what, SchedBits *ret, Err *e)
{
	SchedBits b = { 0 };
	Str rest = str_of(list), part, first, last;
	while (str_next(&rest, ',', &part)) {
		part = str_trim(part);
		if (!part.n) continue;
		uint32_t from, to;
		bool range = str_cut(part, '-', &first, &last);
		int r = str_to_u32(range ? first : part, &from);
		if (r >= 0) r = str_to_u32(range ? last : part, &to);
		if (r == -EINVAL)
			return err_set(e, ERR_CONFIG, EINVAL, "%s \"%.64s\": \"%.*s\" is neither a number nor a range", what, list,
				       (int)part.n, part.p);
		if (r < 0 || from >= SCHED_BITS || to >= SCHED_BITS)
			return err_set(e, ERR_CONFIG, ERANGE, "%s \"%.64s\": values larger than %d are not supported", what, list,
				       SCHED_BITS - 1);
		if (from > to) return err_set(e, ERR_CONFIG, EINVAL, "%s \"%.64s\": invalid range: %.*s", what, list, (int)part.n, part.p);
		for (uint32_t i = from; i <= to; i++)
			bits_set(&b, i);
	}
	if (!b.n) return err_set(e, ERR_CONFIG, EINVAL, "%s \"%.64s\": no members found in set", what, list);
	*ret = b;
	return 0;
}

static bool is_blank(const char *s)
{
	return !s || !*s;
}

int cpu_affinity_check(const CpuAffinity *c, Err *e)
{
	SchedBits b;
	int r = is_blank(c->initial) ? 0 : sched_list_parse(c->initial, "bad CPU affinity: initial", &b, e);
	if (r < 0) return r;
	return is_blank(c->final) ? 0 : sched_list_parse(c->final, "bad CPU affinity: final", &b, e);
}

int cpu_affinity_set(const char *list, Err *e)
{
	SchedBits b;
	if (is_blank(list)) return 0;
	int r = sched_list_parse(list, "bad CPU affinity", &b, e);
	if (r < 0) return r;
	if (syscall(SYS_sched_setaffinity, 0, sizeof b.word, b.word) < 0) return err_sys(e, errno, "set CPU affinity to %.200s", list);
	return 0;
}

int cpu_affinity_reset(void)
{
	unsigned long all[SCHED_BITS / (8 * sizeof(unsigned long))];
	memset(all, 0xff, sizeof all); /* the kernel cuts it to the cpuset */
	return syscall(SYS_sched_setaffinity, 0, sizeof all, all) < 0 ? -errno : 0;
}

/* ---- NUMA memory policy ---- */

enum { MPOL_WEIGHTED_INTERLEAVE_MODE = 6 }; /* Linux 6.9: newer than some headers */

const BindName memory_policy_mode_names[] = {
	{ "MPOL_DEFAULT", MPOL_DEFAULT },       { "MPOL_BIND", MPOL_BIND },
	{ "MPOL_INTERLEAVE", MPOL_INTERLEAVE }, { "MPOL_WEIGHTED_INTERLEAVE", MPOL_WEIGHTED_INTERLEAVE_MODE },
	{ "MPOL_PREFERRED", MPOL_PREFERRED },   { "MPOL_PREFERRED_MANY", MPOL_PREFERRED_MANY },
	{ "MPOL_LOCAL", MPOL_LOCAL },           { 0 },
};

const BindName memory_policy_flag_names[] = {
	{ "MPOL_F_NUMA_BALANCING", MPOL_F_NUMA_BALANCING },
	{ "MPOL_F_RELATIVE_NODES", MPOL_F_RELATIVE_NODES },
	{ "MPOL_F_STATIC_NODES", MPOL_F_STATIC_NODES },
	{ 0 },
};

BIND_TABLE(memory_policy_table, "memoryPolicy", MemoryPolicy,
	   { .name = "mode", .kind = BIND_STRING, .offset = offsetof(MemoryPolicy, mode) },
	   { .name = "nodes", .kind = BIND_STRING, .offset = offsetof(MemoryPolicy, nodes) },
	   { .name = "flags", .kind = BIND_STRINGS, .offset = offsetof(MemoryPolicy, flags) });

/* *mode gets mode and flags together, as the system call takes them. */
static int memory_policy_parse(const MemoryPolicy *m, int *mode, SchedBits *nodes, Err *e)
{
	int base = m->mode ? bind_value(memory_policy_mode_names, m->mode) : -1;
	if (base < 0) return err_set(e, ERR_CONFIG, EINVAL, "invalid memory policy mode \"%.64s\"", m->mode ? m->mode : "");
	int flags = 0;
	for (size_t i = 0; i < m->flags.n; i++) {
		int f = bind_value(memory_policy_flag_names, m->flags.items[i]);
		if (f < 0) return err_set(e, ERR_CONFIG, EINVAL, "invalid memory policy flag \"%.64s\"", m->flags.items[i]);
		flags |= f;
	}
	if ((flags & MPOL_F_STATIC_NODES) && (flags & MPOL_F_RELATIVE_NODES))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "invalid memory policy flags: MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other");
	*nodes = (SchedBits){ 0 };
	int r = is_blank(m->nodes) ? 0 : sched_list_parse(m->nodes, "invalid memory policy node", nodes, e);
	if (r < 0) return r;
	if ((base == MPOL_DEFAULT || base == MPOL_LOCAL) && nodes->n)
		return err_set(e, ERR_CONFIG, EINVAL, "invalid memory policy nodes: %s mode requires 0 nodes but got %u", m->mode,
			       nodes->n);
	if (base != MPOL_DEFAULT && base != MPOL_LOCAL && base != MPOL_PREFERRED && !nodes->n)
		return err_set(e, ERR_CONFIG, EINVAL, "invalid memory policy nodes: %s mode requires at least one node but got 0", m->mode);
	*mode = base | flags;
	return 0;
}

int memory_policy_check(const MemoryPolicy *m, Err *e)
{
	int mode;
	SchedBits nodes;
	return memory_policy_parse(m, &mode, &nodes, e);
}

int memory_policy_apply(const MemoryPolicy *m, Err *e)
{
	int mode = 0;
	SchedBits nodes = { 0 };
	int r = memory_policy_parse(m, &mode, &nodes, e);
	if (r < 0) return r;
	/* maxnode counts one more than the bits that are looked at */
	if (syscall(SYS_set_mempolicy, mode, nodes.n ? nodes.word : NULL, nodes.n ? nodes.end + 1UL : 0UL) < 0)
		return err_sys(e, errno, "set memory policy %s, nodes \"%.64s\"", m->mode, m->nodes ? m->nodes : "");
	return 0;
}

/* ---- personality ---- */

const BindName personality_domain_names[] = { { "LINUX", PER_LINUX }, { "LINUX32", PER_LINUX32 }, { 0 } };

BIND_TABLE(personality_table, "personality", Personality,
	   { .name = "domain",
	     .kind = BIND_ENUM,
	     .offset = offsetof(Personality, domain),
	     .flags = BIND_REQUIRED | BIND_ALWAYS,
	     .sub = personality_domain_names },
	   { .name = "flags", .kind = BIND_STRINGS, .offset = offsetof(Personality, flags) });

int personality_apply(const Personality *p, Err *e)
{
	if (personality((unsigned long)p->domain) < 0)
		return err_sys(e, errno, "set personality %s", bind_name(personality_domain_names, p->domain));
	return 0;
}

/* ---- resource limits ---- */

const BindName rlimit_names[] = {
	{ "RLIMIT_CPU", RLIMIT_CPU },
	{ "RLIMIT_FSIZE", RLIMIT_FSIZE },
	{ "RLIMIT_DATA", RLIMIT_DATA },
	{ "RLIMIT_STACK", RLIMIT_STACK },
	{ "RLIMIT_CORE", RLIMIT_CORE },
	{ "RLIMIT_RSS", RLIMIT_RSS },
	{ "RLIMIT_NPROC", RLIMIT_NPROC },
	{ "RLIMIT_NOFILE", RLIMIT_NOFILE },
	{ "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK },
	{ "RLIMIT_AS", RLIMIT_AS },
	{ "RLIMIT_LOCKS", RLIMIT_LOCKS },
	{ "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING },
	{ "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE },
	{ "RLIMIT_NICE", RLIMIT_NICE },
	{ "RLIMIT_RTPRIO", RLIMIT_RTPRIO },
	{ "RLIMIT_RTTIME", RLIMIT_RTTIME },
	{ 0 },
};

BIND_TABLE(
	rlimit_table, "rlimit", Rlimit,
	{ .name = "type", .kind = BIND_ENUM, .offset = offsetof(Rlimit, type), .flags = BIND_REQUIRED | BIND_ALWAYS, .sub = rlimit_names },
	{ .name = "hard", .kind = BIND_U64, .offset = offsetof(Rlimit, hard), .flags = BIND_ALWAYS },
	{ .name = "soft", .kind = BIND_U64, .offset = offsetof(Rlimit, soft), .flags = BIND_ALWAYS });

int rlimit_check(const Rlimits *l, Err *e)
{
	uint32_t seen = 0;
	for (size_t i = 0; i < l->n; i++) {
		const Rlimit *r = &l->items[i];
		const char *name = bind_name(rlimit_names, r->type);
		if (!name) return err_set(e, ERR_CONFIG, EINVAL, "process.rlimits[%zu]: unknown type %d", i, r->type);
		if (seen & 1U << r->type) return err_set(e, ERR_CONFIG, EINVAL, "process.rlimits[%zu]: %s is given twice", i, name);
		seen |= 1U << r->type;
		if (r->soft > r->hard)
			return err_set(e, ERR_CONFIG, EINVAL,
				       "process.rlimits[%zu]: %s: soft limit %" PRIu64 " is above hard limit %" PRIu64, i, name, r->soft,
				       r->hard);
	}
	return 0;
}

static const char *limit_text(uint64_t v, char to[static 24])
{
	if (v == RLIM_INFINITY)
		snprintf(to, 24, "unlimited");
	else
		snprintf(to, 24, "%" PRIu64, v);
	return to;
}

/* glibc counts the limits by an enumeration of its own, others by int */
#ifdef __GLIBC__
#define RLIMIT_TYPE(type) ((__rlimit_resource_t)(type))
#else
#define RLIMIT_TYPE(type) (type)
#endif

static int rlimit_refused(pid_t pid, const Rlimit *r, int errnum, Err *e)
{
	char soft[24], hard[24], have[24];
	struct rlimit now = { 0 };
	const char *name = bind_name(rlimit_names, r->type);
	if (errnum != EPERM || prlimit(pid, RLIMIT_TYPE(r->type), NULL, &now) < 0 || r->hard <= now.rlim_max)
		return err_sys(e, errnum, "error setting rlimit type %d (%s, soft %s, hard %s)", r->type, name, limit_text(r->soft, soft),
			       limit_text(r->hard, hard));
	return err_set(
		e, ERR_PERMISSION, EPERM,
		"error setting rlimit type %d: operation not permitted: %s: hard limit %s was asked for, but only %s is granted, and raising it needs "
		"CAP_SYS_RESOURCE",
		r->type, name, limit_text(r->hard, hard), limit_text(now.rlim_max, have));
}

int rlimit_apply(pid_t pid, const Rlimits *l, Err *e)
{
	for (size_t i = 0; i < l->n; i++) {
		const Rlimit *r = &l->items[i];
		struct rlimit want = { .rlim_cur = r->soft, .rlim_max = r->hard };
		if (prlimit(pid, RLIMIT_TYPE(r->type), &want, NULL) < 0) return rlimit_refused(pid, r, errno, e);
	}
	return 0;
}

int rlimit_reserve(const Rlimits *l, Err *e)
{
	for (size_t i = 0; i < l->n; i++) {
		const Rlimit *r = &l->items[i];
		struct rlimit now;
		if (prlimit(0, RLIMIT_TYPE(r->type), NULL, &now) < 0) return rlimit_refused(0, r, errno, e);
		if (r->hard <= now.rlim_max) continue;
		now.rlim_max = r->hard;
		if (prlimit(0, RLIMIT_TYPE(r->type), &now, NULL) < 0) return rlimit_refused(0, r, errno, e);
	}
	return 0;
}
