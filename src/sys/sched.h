/* sched.h: how a process is scheduled and limited: policy, I/O priority, CPUs, memory nodes, personality, resource limits.
 *
 * The structs mirror the runtime specification (config.md "scheduler", "ioPriority", "execCPUAffinity", "rlimits"; config-linux.md
 * "Memory policy", "Personality"). For each there is a check, for use before anything is started, and an apply, which acts on
 * the calling thread and so belongs in the (single-threaded) child. apply trusts the check.
 */
#pragma once

#include "base/bind.h"

/* ---- CPU scheduler ---- */

typedef struct Scheduler {
	int policy; /* SCHED_OTHER, …; the kernel's numbers */
	int32_t nice, priority;
	IntList flags;                      /* SCHED_FLAG_* bits */
	uint64_t runtime, deadline, period; /* nanoseconds; SCHED_DEADLINE only */
} Scheduler;

extern const BindTable sched_table;
extern const BindName sched_policy_names[], sched_flag_names[];

int sched_check(const Scheduler *s, Err *e) MUST_USE;
int sched_apply(const Scheduler *s, Err *e) MUST_USE;

/* ---- I/O priority ---- */

typedef struct IoPriority {
	int klass;        /* 1 RT, 2 BE, 3 IDLE: the kernel's IOPRIO_CLASS_* */
	int32_t priority; /* 0 (highest) to 7 */
} IoPriority;

extern const BindTable ioprio_table;
extern const BindName ioprio_class_names[];

int ioprio_check(const IoPriority *p, Err *e) MUST_USE;
/* ioprio_apply: for the calling process group (as the specification says). */
int ioprio_apply(const IoPriority *p, Err *e) MUST_USE;

/* ---- CPU and node lists ---- */

typedef struct CpuAffinity {
	const char *initial, *final; /* lists as "0-3,7"; NULL or "": unchanged */
} CpuAffinity;

extern const BindTable cpu_affinity_table;

enum { SCHED_BITS = 8192 }; /* CPUs, and nodes, that a list can name: 0 to 8191 */
typedef struct SchedBits {
	unsigned long word[SCHED_BITS / (8 * sizeof(unsigned long))];
	unsigned n;   /* how many bits are set */
	unsigned end; /* highest one + 1 */
} SchedBits;

/* sched_list_parse: "0-3,7" into bits. what stands before the message ("invalid CPU list"). Blanks around parts and empty parts
 * are accepted, as runc does; a list without any member, a reversed range or a number above 8191 is not: -EINVAL, -ERANGE. */
int sched_list_parse(const char *list, const char *what, SchedBits *ret, Err *e) MUST_USE;

int cpu_affinity_check(const CpuAffinity *c, Err *e) MUST_USE;
/* cpu_affinity_set: of the calling thread. NULL or "" does nothing. */
int cpu_affinity_set(const char *list, Err *e) MUST_USE;
/* cpu_affinity_reset: every CPU of the cpuset that the thread is in. */
int cpu_affinity_reset(void) MUST_USE;

/* ---- NUMA memory policy ---- */

/* Names stay text: callers of runc look for its messages ("invalid memory policy mode …"), which the checks here give. */
typedef struct MemoryPolicy {
	const char *mode;  /* "MPOL_BIND", … */
	const char *nodes; /* list, NULL: none */
	StrList flags;     /* "MPOL_F_STATIC_NODES", … */
} MemoryPolicy;

extern const BindTable memory_policy_table;
extern const BindName memory_policy_mode_names[], memory_policy_flag_names[]; /* MPOL_* and MPOL_F_* values */

int memory_policy_check(const MemoryPolicy *m, Err *e) MUST_USE;
int memory_policy_apply(const MemoryPolicy *m, Err *e) MUST_USE;

/* ---- personality ---- */

typedef struct Personality {
	int domain;    /* PER_LINUX, PER_LINUX32 */
	StrList flags; /* none is defined: ignored, worth a note of the caller's */
} Personality;

extern const BindTable personality_table;
extern const BindName personality_domain_names[];

int personality_apply(const Personality *p, Err *e) MUST_USE;

/* ---- resource limits ---- */

typedef struct Rlimit {
	int type; /* RLIMIT_* */
	uint64_t soft, hard;
} Rlimit;
typedef LIST_OF(Rlimit) Rlimits;

extern const BindTable rlimit_table; /* one Rlimit */
extern const BindName rlimit_names[];

/* rlimit_check: no type twice, soft <= hard. */
int rlimit_check(const Rlimits *l, Err *e) MUST_USE;
/* rlimit_apply: sets them for pid (0: this process). A raise above the hard limit without CAP_SYS_RESOURCE: -EPERM, the message
 * names the limit, what was asked for and what is granted. */
int rlimit_apply(pid_t pid, const Rlimits *l, Err *e) MUST_USE;
/* rlimit_reserve: raises the hard limits of this process to those asked for, where they are higher, and changes nothing else: what
 * rlimit_apply would be refused later is refused now. */
int rlimit_reserve(const Rlimits *l, Err *e) MUST_USE;
