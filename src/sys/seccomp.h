/* seccomp.h: seccomp profiles compiled to a balanced decision tree, and their installation.
 *
 * Why an own compiler: the kernel runs a new filter once per system call number when it is installed; a linear filter of
 * 300 names costs 560 us there, a tree of the same set 80-90 us. libseccomp is the oracle in the tests: for every
 * system call, architecture and argument boundary both filters must give the same answer.
 *
 * The structs mirror `linux.seccomp` of the runtime specification (config-linux.md, "Seccomp").
 */
#pragma once

#include <linux/filter.h>

#include "base/bind.h"

typedef enum {
	SECCOMP_KILL_PROCESS = 1,
	SECCOMP_KILL_THREAD,
	SECCOMP_TRAP,
	SECCOMP_ERRNO,
	SECCOMP_NOTIFY,
	SECCOMP_TRACE,
	SECCOMP_LOG,
	SECCOMP_ALLOW,
} SeccompAction;

typedef enum { SECCOMP_NE = 1, SECCOMP_LT, SECCOMP_LE, SECCOMP_EQ, SECCOMP_GE, SECCOMP_GT, SECCOMP_MASKED_EQ } SeccompOp;

typedef struct SeccompArg {
	uint32_t index;     /* 0 to 5 */
	uint64_t value;     /* MASKED_EQ: the mask */
	uint64_t value_two; /* MASKED_EQ: what arg & mask must equal */
	int op;             /* SeccompOp */
} SeccompArg;

typedef struct SeccompRule {
	StrList names; /* names unknown to an architecture are skipped for it */
	int action;    /* SeccompAction */
	OptUint errno_ret;
	LIST_OF(SeccompArg) args; /* all must hold (AND), except that several on one index are ORed as separate rules, as runc does */
} SeccompRule;

typedef struct SeccompProfile {
	int default_action; /* SeccompAction */
	OptUint default_errno_ret;
	IntList architectures; /* SeccompArch; empty: the native one */
	IntList flags;         /* SeccompFlag */
	const char *listener_path, *listener_metadata;
	LIST_OF(SeccompRule) syscalls;
} SeccompProfile;

/* Name tables for the binding engine and for `features`: "SCMP_ACT_ALLOW", "SCMP_CMP_EQ", "SCMP_ARCH_X86_64",
 * "SECCOMP_FILTER_FLAG_LOG". The values of architectures are indexes private to this module, from 1. */
extern const BindName seccomp_action_names[]; /* also SCMP_ACT_KILL = KILL_THREAD */
extern const BindName seccomp_op_names[];
extern const BindName seccomp_arch_names[];
extern const BindName seccomp_flag_names[]; /* the values are SECCOMP_FILTER_FLAG_* bits */

typedef struct SeccompFilter {
	struct sock_fprog prog; /* in the arena */
	unsigned flags;         /* for seccomp(2); SPEC_ALLOW when the profile has no list of flags, NEW_LISTENER when notify */
	bool notify;            /* some rule asks for SCMP_ACT_NOTIFY: installation returns a descriptor */
} SeccompFilter;

/* seccomp_compile: the profile as a filter; what its rules mean stands in seccomp_plan.c and seccomp_order.c. -EINVAL with
 * the JSON path ("linux.seccomp.syscalls[3]: …") for impossible combinations: errnoRet with an action that has none, index
 * above 5, NOTIFY for write, as default or without a listenerPath, one condition with two actions; -E2BIG above 4096
 * instructions. */
int seccomp_compile(const SeccompProfile *p, Arena *a, SeccompFilter *ret, Err *e) MUST_USE;

/* seccomp_install: loads the filter for this thread (SECCOMP_FILTER_FLAG_TSYNC is accepted in profiles and has no effect, as
 * with runc). Returns the notify descriptor (>= 0, close-on-exec) when f->notify, else 0; needs no_new_privs or
 * CAP_SYS_ADMIN. */
int seccomp_install(const SeccompFilter *f, Err *e) MUST_USE;

/* seccomp_flags_supported: the SECCOMP_FILTER_FLAG_* bits that the running kernel knows. */
unsigned seccomp_flags_supported(void);
